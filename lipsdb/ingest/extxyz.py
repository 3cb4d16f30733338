"""Labels in extended XYZ files, as ASE reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lipsdb.errors import BadInputError
from lipsdb.ingest.files import find_files
from lipsdb.ingest.frames import Fault, Frame, Reading, reading_of
from lipsdb.ingest.storing import LabelFormat

_SUFFIXES = ("*.extxyz", "*.xyz", "*.extxyz.gz", "*.xyz.gz")


def read_extxyz(path: Path) -> Reading:
    """Read an extended XYZ file.

    Parameters
    ----------
    path : Path
        With the keys ``energy`` (eV), ``forces`` or ``force`` (eV/Å) and, if there are any, ``stress`` (eV/Å³, positive
        under tension, as ASE writes it) or ``virial`` (eV, W = −V σ, as QUIP writes it).

    Returns
    -------
    Reading
        A frame without energy or forces, not periodic, or with a stress and a virial that contradict each other is at
        fault.

    Raises
    ------
    BadInputError
        If ASE cannot read the file.
    """
    import ase.io

    try:
        images = ase.io.read(path, index=":", format="extxyz")
    except Exception as error:  # ASE raises almost any class on a broken file
        raise BadInputError(f"{path.name} is not extended XYZ: {' '.join(str(error).split())}") from error
    return reading_of([_frame(place, atoms) for place, atoms in enumerate(images)])


def _frame(place: int, atoms: Any) -> Frame | Fault:
    results = atoms.calc.results if atoms.calc is not None else {}
    forces = results.get("forces", atoms.arrays.get("force"))
    if "energy" not in results or forces is None:
        missing = "energy" if "energy" not in results else "forces"
        keys = ", ".join(sorted({*atoms.info, *atoms.arrays, *results})) or "none"
        return Fault(
            place, "file", f"frame {place} has no {missing}; expected the keys energy and forces, found {keys}"
        )
    if not atoms.pbc.all():
        return Fault(
            place, "structure", f"frame {place} is not periodic along all three cell vectors; give Lattice and pbc"
        )
    try:
        virial = _virial(atoms, results)
    except BadInputError as error:
        return Fault(place, "file", f"frame {place}: {error}")
    return Frame(
        numbers=atoms.numbers,
        positions=atoms.positions,
        cell=np.asarray(atoms.cell),
        energy=float(results["energy"]),
        forces=np.asarray(forces),
        virial=virial,
    )


def _virial(atoms: Any, results: dict[str, Any]) -> np.ndarray | None:
    """Virial W (eV) from the key ``virial``, or from the stress: W = −V σ."""
    from ase.stress import voigt_6_to_full_3x3_stress

    given = atoms.info.get("virial")
    if given is not None and np.shape(given) != (3, 3):
        raise BadInputError(f"virial has {np.size(given)} numbers; nine are expected")
    if "stress" not in results:
        return None if given is None else np.asarray(given, dtype=float)
    stress = voigt_6_to_full_3x3_stress(results["stress"])  # type: ignore[no-untyped-call]
    of_stress = -atoms.get_volume() * stress
    if given is None:
        return np.asarray(of_stress)
    if not np.allclose((given + np.transpose(given)) / 2, of_stress, rtol=1e-3, atol=1e-3):
        raise BadInputError(
            "stress and virial contradict each other; the stress is −virial/volume, eV/Å³, positive under tension"
        )
    return np.asarray(given, dtype=float)


def _find(path: Path) -> list[Path]:
    return find_files(path, _SUFFIXES, "extended XYZ file with labels")


EXTXYZ = LabelFormat("extxyz", _find, read_extxyz)
