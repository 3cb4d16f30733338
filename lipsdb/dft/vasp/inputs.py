"""VASP input at a level of theory, written by atomate2's input set generators; nothing in it is automatic."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.dft.settings import AimdSettings, RelaxationSettings, check_seed
from lipsdb.dft.vasp.level import VaspLevel
from lipsdb.errors import BadInputError, MissingProgramError

if TYPE_CHECKING:
    from pymatgen.io.vasp.inputs import VaspInput

Task = Literal["static", "relaxation", "aimd"]

#: How the SCF is reached and what is written: no part of the level. ALGO and NELM as in the Materials Project's sets.
_SCF = {"ALGO": "Normal", "NELM": 100, "ISTART": 0, "ICHARG": 2, "LWAVE": False, "LCHARG": False}


@dataclass(frozen=True)
class Potcar:
    """One PAW data set in use; what stands in its file is None if there is no file.

    Attributes
    ----------
    element, symbol : str
        Such as 'Li' and 'Li_sv'.
    titel : str or None
        TITEL, such as 'PAW_PBE Li_sv 10Sep2004'.
    valence : float or None
        ZVAL: electrons that it leaves.
    sha256 : str or None
        SHA-256 of its text.
    """

    element: str
    symbol: str
    titel: str | None
    valence: float | None
    sha256: str | None


@dataclass(frozen=True)
class VaspInputs:
    """All that VASP reads, and the question behind it.

    VASP wants the atoms of an element together: atom i of the files is atom ``order[i]`` of the question.
    """

    task: Task
    level: VaspLevel
    settings: RelaxationSettings | AimdSettings | None
    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    order: np.ndarray
    vasp_input: VaspInput
    potcars: tuple[Potcar, ...]

    @property
    def valence(self) -> dict[int, float] | None:
        """Atomic number -> electrons that the PAW data set leaves (ZVAL); None without POTCAR files."""
        from ase.data import atomic_numbers

        found = {atomic_numbers[potcar.element]: potcar.valence for potcar in self.potcars}
        return {number: valence for number, valence in found.items() if valence is not None} or None

    @property
    def n_electrons(self) -> float | None:
        """Valence electrons of the cell by the PAW data sets; None without POTCAR files."""
        numbers, counts = np.unique(self.numbers, return_counts=True)
        valence = self.valence
        return None if valence is None else float(counts @ [valence[int(number)] for number in numbers])

    def texts(self) -> dict[str, str]:
        """Texts of the input files by name; POTCAR only by its names and hashes, for its contents are licensed."""
        spec = [f"{potcar.symbol} {potcar.titel or '-'} sha256={potcar.sha256 or '-'}" for potcar in self.potcars]
        poscar = self.vasp_input["POSCAR"].get_str(significant_figures=16)
        return {
            "INCAR": str(self.vasp_input["INCAR"]),
            "KPOINTS": str(self.vasp_input["KPOINTS"]),
            "POSCAR": poscar,
            "POTCAR.spec": "\n".join(spec) + "\n",
        }

    def write(self, folder: str | Path) -> None:
        """Write the files VASP reads into a folder, which is made if it is missing."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.texts().items():
            (folder / name).write_text(text, "utf-8")
        if all(potcar.sha256 for potcar in self.potcars):
            self.vasp_input["POTCAR"].write_file(str(folder / "POTCAR"))


def static_inputs(
    level: VaspLevel, numbers: ArrayLike, positions: ArrayLike, cell: ArrayLike, *, potcars: bool = True
) -> VaspInputs:
    """Input of a single point: energy, forces and stress.

    Parameters
    ----------
    level : VaspLevel
        Level of theory.
    numbers : (n_atoms,) array of int
        Atomic numbers.
    positions : (n_atoms, 3) array, Å
        Cartesian positions.
    cell : (3, 3) array, Å
        Lattice vectors as rows, right-handed.
    potcars : bool
        Whether to take the POTCAR files from the folder that ``PMG_VASP_PSP_DIR`` names. Without them the input can be
        looked at, not run.

    Returns
    -------
    VaspInputs
        INCAR, KPOINTS, POSCAR, POTCAR.

    Raises
    ------
    BadInputError
        If the level has no PAW data set for an element, or the cell is left-handed.
    MissingProgramError
        If a POTCAR file is not found.
    """
    from atomate2.vasp.sets.core import StaticSetGenerator

    incar = {**level.incar_tags(), **_SCF, "IBRION": -1, "NSW": 0, "ISIF": 2}
    return _inputs("static", StaticSetGenerator, incar, level, None, numbers, positions, cell, potcars)


def relaxation_inputs(
    level: VaspLevel,
    settings: RelaxationSettings,
    numbers: ArrayLike,
    positions: ArrayLike,
    cell: ArrayLike,
    *,
    potcars: bool = True,
) -> VaspInputs:
    """Input of a relaxation by conjugate gradients; parameters as for `static_inputs`.

    The norm of each force is brought below ``max_force_eV_A`` (EDIFFG), and so each component.
    """
    from atomate2.vasp.sets.core import RelaxSetGenerator

    ionic = {
        "IBRION": 2,
        "NSW": settings.max_steps,
        "ISIF": 3 if settings.cell else 2,
        "EDIFFG": -settings.max_force_eV_A,
    }
    incar = {**level.incar_tags(), **_SCF, **ionic}
    return _inputs("relaxation", RelaxSetGenerator, incar, level, settings, numbers, positions, cell, potcars)


def aimd_inputs(
    level: VaspLevel,
    settings: AimdSettings,
    numbers: ArrayLike,
    positions: ArrayLike,
    cell: ArrayLike,
    *,
    potcars: bool = True,
) -> VaspInputs:
    """Input of molecular dynamics at constant volume; parameters as for `static_inputs`.

    VASP counts configurations (NSW), the first of which is the one given: one more than there are steps.

    Raises
    ------
    BadInputError
        As for `static_inputs`, or if VASP does not take the seed.
    """
    from atomate2.vasp.sets.core import MDSetGenerator

    check_seed(settings, "vasp")
    mass = nose_mass(settings.temperature_K, settings.thermostat_damping_ps, len(np.asarray(numbers)), cell)
    ionic = {
        "IBRION": 0,
        "MDALGO": 2,
        "SMASS": mass,
        "NSW": settings.n_steps + 1,
        "POTIM": settings.timestep_fs,
        "TEBEG": settings.temperature_K,
        "TEEND": settings.temperature_K,
        "RANDOM_SEED": [settings.seed, 0, 0],
        "ISIF": 2,
        "NBLOCK": 1,
        "NELMIN": 4,
    }
    incar = {**level.incar_tags(), **_SCF, **ionic}
    return _inputs("aimd", MDSetGenerator, incar, level, settings, numbers, positions, cell, potcars)


def nose_mass(temperature_K: float, damping_ps: float, n_atoms: int, cell: ArrayLike) -> float:
    """Nosé mass SMASS, in amu and squares of the length of the first lattice vector.

    Parameters
    ----------
    temperature_K : float
        Target temperature, K.
    damping_ps : float
        Time constant τ, ps.
    n_atoms : int
    cell : (3, 3) array, Å
        Lattice vectors as rows.

    Returns
    -------
    float

    Notes
    -----
    Q = N k_B T τ² with N = 3 n_atoms − 3 degrees of freedom, as LAMMPS (Tdamp) defines τ, and
    SMASS = Q / |a₁|². Temperature then oscillates with ω² = 2 N k_B T / Q (Nosé), so with the period 2π τ/√2 =
    4.44 τ. VASP's own choice, SMASS = 0, is a period of 40 timesteps: τ = 9 timesteps.

    References
    ----------
    S. Nosé, J. Chem. Phys. 81, 511 (1984), doi 10.1063/1.447334; VASP's manual, SMASS.

    Examples
    --------
    >>> cell = 10.0 * np.eye(3)  # τ so that the period is 40 timesteps of 2 fs: what VASP takes for SMASS = 0
    >>> round(nose_mass(300.0, 0.08 / (2 * np.pi) * 2**0.5, 32, cell), 4)
    0.0752
    """
    from ase import units

    time = damping_ps * 1000.0 * units.fs  # in Å √(amu/eV)
    degrees = 3 * n_atoms - 3
    length = float(np.linalg.norm(np.asarray(cell, np.float64)[0]))
    return float(degrees * units.kB * temperature_K * time**2 / length**2)


def _inputs(
    task: Task,
    generator: Any,
    incar: Mapping[str, Any],
    level: VaspLevel,
    settings: RelaxationSettings | AimdSettings | None,
    numbers: ArrayLike,
    positions: ArrayLike,
    cell: ArrayLike,
    potcars: bool,
) -> VaspInputs:
    from ase.data import chemical_symbols
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure
    from pymatgen.io.vasp.inputs import Kpoints

    number, position, box = np.asarray(numbers), np.asarray(positions, np.float64), np.asarray(cell, np.float64)
    if np.linalg.det(box) <= 0:
        raise BadInputError(f"the cell has the volume {np.linalg.det(box):.3f} Å³; VASP takes right-handed cells only")
    elements = [chemical_symbols[number] for number in np.unique(number)]
    missing = [element for element in elements if element not in level.potcars]
    if missing:
        known = ", ".join(level.potcars)
        raise BadInputError(
            f"the level of theory has no PAW data set for {missing[0]}, only for {known}; add it to potcars"
        )
    _, first, group = np.unique(number, return_index=True, return_inverse=True)
    order = np.argsort(first[group], kind="stable")
    structure = Structure(
        Lattice(box), [chemical_symbols[n] for n in number[order]], position[order], coords_are_cartesian=True
    )
    given = generator(
        config_dict={
            "INCAR": {},
            "KPOINTS": {},
            "POTCAR": dict(level.potcars),
            "POTCAR_FUNCTIONAL": level.potcar_functional,
        },
        user_incar_settings=_only(generator, incar, structure),
        user_kpoints_settings=Kpoints.gamma_automatic((level.kpoints[0], level.kpoints[1], level.kpoints[2])),
        sort_structure=False,
        auto_ismear=False,
        auto_ispin=False,
        auto_lreal=False,
        auto_kspacing=False,
        inherit_incar=False,
    )
    with _potcar_folder():
        vasp_input = (
            _with_potcars(given, structure, level) if potcars else given.get_input_set(structure, potcar_spec=True)
        )
    _check_whole(vasp_input["INCAR"], incar)
    return VaspInputs(
        task, level, settings, number, position, box, order, vasp_input, _potcars(vasp_input, level, potcars)
    )


def _only(generator: Any, incar: Mapping[str, Any], structure: Any) -> dict[str, Any]:
    """The tags that are wanted, and None (left out) for those that the generator would add."""
    added = generator(config_dict={"INCAR": {}, "KPOINTS": {}, "POTCAR": {}}, structure=structure).incar_updates
    return {**dict.fromkeys(added), **incar}


def _check_whole(written: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    from pymatgen.io.vasp.inputs import Incar

    wanted = Incar(dict(asked))
    differ = sorted(tag for tag in {*written, *wanted} if written.get(tag) != wanted.get(tag))
    if differ:
        tag = differ[0]
        raise RuntimeError(f"INCAR has {tag} = {written.get(tag)}, asked was {wanted.get(tag)}")


@contextmanager
def _potcar_folder() -> Iterator[None]:
    """Let ``PMG_VASP_PSP_DIR`` as it is now count: pymatgen reads it once, when it is imported."""
    from pymatgen.core import SETTINGS

    before = SETTINGS.get("PMG_VASP_PSP_DIR")
    SETTINGS["PMG_VASP_PSP_DIR"] = os.environ.get("PMG_VASP_PSP_DIR") or before
    try:
        yield
    finally:
        SETTINGS["PMG_VASP_PSP_DIR"] = before


def _with_potcars(generator: Any, structure: Any, level: VaspLevel) -> Any:
    import warnings

    from pymatgen.io.vasp.inputs import PmgVaspPspDirError, UnknownPotcarWarning
    from pymatgen.io.vasp.sets import BadInputSetWarning

    try:
        with warnings.catch_warnings():
            # Hash, TITEL and valence of what is used are recorded; that pymatgen does not know it is no fault.
            warnings.simplefilter("ignore", UnknownPotcarWarning)
            warnings.simplefilter("ignore", BadInputSetWarning)
            return generator.get_input_set(structure)
    except (PmgVaspPspDirError, OSError) as error:
        names = ", ".join(dict.fromkeys(level.potcars.values()))
        raise MissingProgramError(
            f"the POTCAR files {names} of release {level.potcar_functional} are not in "
            f"PMG_VASP_PSP_DIR={os.environ.get('PMG_VASP_PSP_DIR', '')!r} ({' '.join(str(error).split())[:160]}); "
            "set it to the folder that pymatgen's `pmg config -p` made from your VASP licence's files"
        ) from error


def _potcars(vasp_input: Any, level: VaspLevel, read: bool) -> tuple[Potcar, ...]:
    elements = vasp_input["POSCAR"].site_symbols
    if not read:
        return tuple(Potcar(element, level.potcars[element], None, None, None) for element in elements)
    return tuple(
        Potcar(
            element,
            level.potcars[element],
            single.keywords["TITEL"].strip(),
            float(single.ZVAL),
            hashlib.sha256(single.data.encode()).hexdigest(),
        )
        for element, single in zip(elements, vasp_input["POTCAR"], strict=True)
    )
