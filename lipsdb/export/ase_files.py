"""Labels as files that ASE and motep write: extended XYZ and MLIP ``.cfg``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lipsdb.ingest.mlip_cfg import ELEMENTS_FEATURE
from lipsdb.potentials.training_set import LabelledFrames


def _images(parts: Sequence[LabelledFrames]) -> Iterator[tuple[Any, np.ndarray | None]]:
    """Each frame as ASE's Atoms with energy (eV), forces (eV/Å) and stress (eV/Å³, σ = −W/V), and its virial (eV)."""
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.stress import full_3x3_to_voigt_6_stress

    for frames in parts:
        for index in range(frames.n_frames):
            atoms = Atoms(frames.numbers, frames.positions[index], cell=frames.cells[index], pbc=True)
            results: dict[str, Any] = {"energy": float(frames.energies[index]), "forces": frames.forces[index]}
            virial = None if frames.virials is None else frames.virials[index]
            if virial is not None:
                stress = -virial / abs(np.linalg.det(frames.cells[index]))
                results["stress"] = full_3x3_to_voigt_6_stress(stress)  # type: ignore[no-untyped-call]
            atoms.calc = SinglePointCalculator(atoms, **results)  # type: ignore[no-untyped-call]
            yield atoms, virial


def write_extxyz(path: Path, parts: Sequence[LabelledFrames], elements: Sequence[str] = ()) -> None:
    """Write an extended XYZ file with energy, forces, stress (positive under tension) and virial (W = −V σ).

    Parameters
    ----------
    path : Path
    parts : sequence of LabelledFrames
        Each of its own atoms; they follow one another in the file.
    elements : sequence of str
        Not needed: the file has the symbols.
    """
    import ase.io

    images = []
    for atoms, virial in _images(parts):
        if virial is not None:
            atoms.info["virial"] = virial
        images.append(atoms)
    ase.io.write(path, images, format="extxyz")


def write_mlip_cfg(path: Path, parts: Sequence[LabelledFrames], elements: Sequence[str]) -> None:
    """Write a ``.cfg`` file of the MLIP program; PlusStress is the virial W = −V σ (eV).

    Parameters
    ----------
    path : Path
    parts : sequence of LabelledFrames
    elements : sequence of str
        Symbols of the types 0, 1 …; they stand in each frame as ``Feature elements``.
    """
    from motep.io.mlip.cfg import write_cfg  # type: ignore[import-untyped,unused-ignore]

    images = []
    for atoms, _ in _images(parts):
        atoms.info[ELEMENTS_FEATURE] = ",".join(elements)
        images.append(atoms)
    write_cfg(str(path), images, species=list(elements))
