"""Labels in VASP's output: every ionic step of vasprun.xml, or of OUTCAR where there is none."""

from __future__ import annotations

import re
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipsdb.documents.level_of_theory import LevelOfTheoryAsked
from lipsdb.errors import BadInputError, RefusedError
from lipsdb.ingest.files import find_files, text_of
from lipsdb.ingest.frames import Frame, Frames, Reading, reading_of, refuse_other_code
from lipsdb.ingest.storing import LabelFormat

if TYPE_CHECKING:
    from lipsdb.dft.vasp.output import VaspSteps

_STRESS_TENSOR_FROM = 2  # ISIF 0 computes no stress, 1 only the pressure


def read_vasp(path: Path) -> Reading:
    """Read a ``vasprun.xml`` (`lipsdb.dft.vasp`) or an ``OUTCAR`` (by ASE), plain or compressed with gzip.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Reading
        What vasprun.xml says of its level of theory can be compared with a level; of an OUTCAR only the code is. The
        energy is the one without the entropy of the electrons. VASP prints the stress in kB with the sign of a pressure
        (positive when compressed), so that W = V P. Electronic steps that did not converge are told. An OUTCAR that was
        cut off gives its whole steps.

    Raises
    ------
    BadInputError, RefusedError
        If the file is not complete, or an external stress (PSTRESS) was added to energies and stresses.
    """
    return _read_vasprun(path) if ".xml" in path.name else _read_outcar(path)


def _refuse_external_stress(pstress_kB: float) -> None:
    if pstress_kB:
        raise BadInputError(
            f"PSTRESS is {pstress_kB:g} kB, which VASP adds to its energies and stresses; only 0 is allowed: repeat "
            "the frames as single points without it"
        )


def _read_vasprun(path: Path) -> Reading:
    from lipsdb.dft.vasp.output import read_vasprun

    steps = read_vasprun(path)
    _refuse_external_stress(float(steps.parameters.get("PSTRESS", steps.incar.get("PSTRESS", 0.0))))
    with_stress = int(steps.parameters.get("ISIF", _STRESS_TENSOR_FROM)) >= _STRESS_TENSOR_FROM
    frames = Frames(
        numbers=steps.numbers.astype("u1"),
        positions=steps.positions,
        cells=steps.cells,
        energies=steps.energies,
        forces=steps.forces,
        virials=steps.virials if with_stress else None,
        converged=steps.scf_converged,
    )
    return Reading([frames], check_level=partial(_check_level, steps))


def _check_level(steps: VaspSteps, level: LevelOfTheoryAsked) -> None:
    from lipsdb.dft.vasp.comparison import check_level
    from lipsdb.dft.vasp.level import VaspLevel

    refuse_other_code("vasp", level)
    try:
        check_level(VaspLevel.model_validate(level.settings), steps, tighter_scf=True)
    except RefusedError as error:
        raise RefusedError(f"{error} ({level.name}); name the level that made the file", error.gate) from error


_OUTCAR_STEP = re.compile(r"energy  without entropy\s*=\s*(\S+)")
_REACHED = "aborting loop because EDIFF is reached"


def _number(text: str, name: str) -> float | None:
    found = re.search(rf"\b{name}\s*=\s*(-?[\d.]+)", text)
    return float(found[1]) if found else None


def _read_outcar(path: Path) -> Reading:
    import ase.io

    text = text_of(path)
    _refuse_external_stress(_number(text, "PSTRESS") or 0.0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            images = ase.io.read(path, index=":", format="vasp-out")
    except Exception as error:  # ASE raises almost any class on a broken file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInputError(f"{path.name} is not complete: {reason}; run it to its end, or copy it again") from error
    pieces = _OUTCAR_STEP.split(text)
    energies = [float(energy) for energy in pieces[1::2]]
    reached = [_REACHED in before for before in pieces[0:-1:2]]
    if len(energies) != len(images):
        raise BadInputError(
            f"{path.name} has {len(images)} configurations and {len(energies)} energies; it is not complete: "
            "run it to its end, or copy it again"
        )
    with_stress = (_number(text, "ISIF") or 0) >= _STRESS_TENSOR_FROM
    return reading_of(
        [
            Frame(
                numbers=atoms.numbers,
                positions=atoms.positions,
                cell=np.asarray(atoms.cell),
                energy=energy,
                forces=atoms.get_forces(apply_constraint=False),
                virial=-atoms.get_volume() * atoms.get_stress(voigt=False, apply_constraint=False)
                if with_stress and "stress" in atoms.calc.results
                else None,
                converged=converged,
            )
            for atoms, energy, converged in zip(images, energies, reached, strict=True)
        ],
        partial(refuse_other_code, "vasp"),
    )


def _find(path: Path) -> list[Path]:
    found = find_files(path, ["*vasprun*.xml", "*vasprun*.xml.*", "OUTCAR*"], "VASP output")
    with_xml = {one.parent for one in found if ".xml" in one.name}
    return [one for one in found if ".xml" in one.name or one.parent not in with_xml]


VASP = LabelFormat("vasp", _find, read_vasp)
