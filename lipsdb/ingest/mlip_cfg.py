"""Labels in the ``.cfg`` files of the MLIP program, as motep reads them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lipsdb.errors import BadInputError
from lipsdb.ingest.files import find_files
from lipsdb.ingest.frames import Fault, Frame, Reading, element_numbers, reading_of
from lipsdb.ingest.storing import LabelFormat

ELEMENTS_FEATURE = "elements"


def read_mlip_cfg(path: Path, elements: Sequence[str] | None = None) -> Reading:
    """Read a ``.cfg`` file.

    Parameters
    ----------
    path : Path
        Å, eV, eV/Å; ``PlusStress`` is the virial W = −dE/dε in eV (−V σ), as motep and VASP-to-MLIP converters have it.
    elements : sequence of str, optional
        Chemical symbols of the types 0, 1 …; by default those of the frames' ``Feature elements``, which
        `lipsdb export labels` writes.

    Returns
    -------
    Reading
        A frame without energy or forces, or without a cell, is at fault.

    Raises
    ------
    BadInputError
        If motep cannot read the file, or the elements are not told.
    """
    from motep.io.mlip.cfg import read_cfg  # type: ignore[import-untyped,unused-ignore]

    try:
        images = read_cfg(str(path), index=":")
    except Exception as error:  # motep raises almost any class on a broken file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInputError(f"{path.name} is not an MLIP .cfg file that motep can read: {reason}") from error
    return reading_of([_frame(place, atoms, elements) for place, atoms in enumerate(images)])


def _frame(place: int, atoms: Any, elements: Sequence[str] | None) -> Frame | Fault:
    results = atoms.calc.results
    missing = [name for name in ("energy", "forces") if name not in results]
    if missing:
        return Fault(place, "file", f"frame {place} has no {missing[0]}; Energy and fx, fy, fz are expected")
    if not atoms.pbc.all():
        return Fault(place, "structure", f"frame {place} has no Supercell; periodic cells are needed")
    virial = None
    if "stress" in results:
        virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
    return Frame(
        numbers=_numbers(atoms, elements),
        positions=atoms.positions,
        cell=np.asarray(atoms.cell),
        energy=float(results["energy"]),
        forces=np.asarray(results["forces"], dtype=float),
        virial=virial,
    )


def _numbers(atoms: Any, elements: Sequence[str] | None) -> np.ndarray:
    """Atomic numbers; without its `species`, motep gives the types in their place."""
    told = elements or str(atoms.info.get(ELEMENTS_FEATURE, "")).split(",")
    if not any(told):
        raise BadInputError("the file does not say which elements its types are; give --elements, say Li,P,S")
    numbers = element_numbers([symbol for symbol in told if symbol], "--elements")
    if atoms.numbers.max() >= len(numbers):
        raise BadInputError(f"there is a type {atoms.numbers.max()}, but elements are {','.join(told)} only; give more")
    return np.asarray(numbers[atoms.numbers])


def _find(path: Path) -> list[Path]:
    return find_files(path, ["*.cfg"], "MLIP .cfg file with labels")


def mlip_cfg_format(elements: Sequence[str] | None = None) -> LabelFormat:
    """The format, with the elements of its types."""
    return LabelFormat("cfg", _find, partial(read_mlip_cfg, elements=elements))
