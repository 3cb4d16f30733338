"""CP2K: level of theory to input, output to label."""

from lipsdb.dft.cp2k.level import Cp2kKind, Cp2kLevel

__all__ = ["Cp2kKind", "Cp2kLevel"]
