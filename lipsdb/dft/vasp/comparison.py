"""What VASP says it used, beside a level of theory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lipsdb.dft.vasp.level import VaspLevel
from lipsdb.dft.vasp.output import VaspSteps
from lipsdb.errors import RefusedError

_BY_FIRST_LETTER = ("PREC", "LREAL")  # VASP reads no more of them, and repeats them shortened
_PARAMETERS = {"ENCUT": "ENMAX"}  # another name among the parameters
# Without GGA in INCAR, the functional of the PAW data sets counts: first word of TITEL -> GGA.
_GGA_OF_TITEL = {"PAW_PBE": "PE", "PAW_GGA": "91", "PAW": "CA"}
#: Tags that add to a functional, and their values where nothing is added: no level has them unless it says so.
_ADDITIONS: dict[str, Any] = {
    "METAGGA": "--",
    "LHFCALC": False,
    "LDAU": False,
    "LUSE_VDW": False,
    "IVDW": 0,
    "LVDW": False,
}


def check_level(
    level: VaspLevel, steps: VaspSteps, n_electrons: float | None = None, *, tighter_scf: bool = False
) -> None:
    """Compare what VASP says it used with the level of theory.

    Parameters
    ----------
    level : VaspLevel
    steps : VaspSteps
        INCAR as VASP read it, its parameters (defaults filled in), k-points, PAW data sets and electrons. What it does
        not tell is not compared.
    n_electrons : float, optional
        Electrons that the PAW data sets leave; by default as VASP repeats their valences.
    tighter_scf : bool
        Whether EDIFF may be smaller than the level's.

    Raises
    ------
    RefusedError
        Its `gate` is 'level' or 'valence'; the message names the setting, what was found and what the level says.
    """
    from pymatgen.io.vasp.inputs import Incar

    wanted = {**_ADDITIONS, **Incar(level.incar_tags())}
    told = {tag: value for tag in wanted if (value := _told(tag, steps)) is not None}
    if tighter_scf and told.get("EDIFF", np.inf) <= level.ediff_eV:
        del told["EDIFF"]
    check_tags(told, {tag: wanted[tag] for tag in told}, "VASP used")
    if steps.kpoints != tuple(level.kpoints):
        mesh = f"the k-points {steps.kpoints}" if steps.kpoints else "k-points that are no mesh around Γ"
        raise RefusedError(f"VASP used {mesh}, the level of theory asked for {tuple(level.kpoints)}", "level")
    for potcar in steps.potcars:
        asked = level.potcars.get(potcar.element)
        if asked is None or asked not in potcar.titel.split():
            raise RefusedError(
                f"VASP used the PAW data set {potcar.titel!r} for {potcar.element}, the level has {asked}; "
                "check POTCAR",
                "valence",
            )
    expected = _valence_electrons(steps) if n_electrons is None else n_electrons
    if expected is not None and abs(steps.n_electrons - expected) > 1e-6:
        raise RefusedError(
            f"VASP counted {steps.n_electrons:g} electrons, the PAW data sets leave {expected:g}; check POTCAR",
            "valence",
        )


def check_tags(there: Mapping[str, Any], asked: Mapping[str, Any], says: str) -> None:
    """Refuse INCAR tags that are not those asked for.

    Raises
    ------
    RefusedError
        Its `gate` is 'level'; names the first tag that differs, its value and the one asked for.
    """
    for tag in sorted({*there, *asked}):
        found, wanted = there.get(tag), asked.get(tag)
        if tag in _BY_FIRST_LETTER:
            found, wanted = str(found)[:1].upper(), str(wanted)[:1].upper()
        if not _same(found, wanted):
            raise RefusedError(
                f"{says} {tag} = {there.get(tag)}, the level of theory asked for {asked.get(tag)}; the result is of "
                "another level",
                "level",
            )


def _told(tag: str, steps: VaspSteps) -> Any:
    """Value of a tag as VASP read it, or the default that it took; None if it does not tell."""
    if tag in steps.incar:
        return steps.incar[tag]
    value = steps.parameters.get(_PARAMETERS.get(tag, tag))
    if tag == "GGA" and value == "--":
        of_data_sets = {potcar.titel.split()[0] for potcar in steps.potcars if potcar.titel.split()}
        return _GGA_OF_TITEL.get(of_data_sets.pop()) if len(of_data_sets) == 1 else None
    return value


def _valence_electrons(steps: VaspSteps) -> float | None:
    """Electrons that the PAW data sets leave, as VASP repeats their valences; None if it does not for all atoms."""
    from ase.data import chemical_symbols

    valences = {potcar.element: potcar.valence for potcar in steps.potcars}
    numbers, counts = np.unique(steps.numbers, return_counts=True)
    symbols = [chemical_symbols[number] for number in numbers]
    if any(symbol not in valences for symbol in symbols):
        return None
    return float(counts @ [valences[symbol] for symbol in symbols])


def _same(there: Any, wanted: Any) -> bool:
    if isinstance(there, float | int) and isinstance(wanted, float | int) and not isinstance(wanted, bool):
        return abs(there - wanted) <= 1e-8 + 1e-8 * abs(wanted)
    if isinstance(there, str) and isinstance(wanted, str):
        return there.upper() == wanted.upper()
    return bool(there == wanted)
