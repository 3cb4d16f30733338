"""VASP: level of theory to input, output to label."""

from lipsdb.dft.vasp.level import VaspLevel

__all__ = ["VaspLevel"]
