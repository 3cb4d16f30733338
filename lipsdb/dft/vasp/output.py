"""VASP's output (vasprun.xml, OUTCAR) as arrays, in this project's units and signs."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.dft.result import POSITION_TOLERANCE_A, SinglePoint, virial_of_stress
from lipsdb.errors import RefusedError

if TYPE_CHECKING:
    from pymatgen.io.vasp.outputs import Vasprun

GPA_PER_KBAR = 0.1
_STRESS_TOLERANCE_KBAR = 0.02


@dataclass(frozen=True)
class VaspPotcar:
    """A PAW data set as the output names it."""

    element: str
    titel: str
    valence: float


@dataclass(frozen=True)
class VaspSteps:
    """All ionic steps of one run of VASP: one of a single point, several of a relaxation or of dynamics.

    Attributes
    ----------
    numbers : (n_atoms,) array of int
        Atomic numbers.
    positions : (n_steps, n_atoms, 3) array, Å
        Cartesian positions, in the cell as VASP wraps them.
    cells : (n_steps, 3, 3) array, Å
        Lattice vectors as rows.
    energies : (n_steps,) array, eV
        Energy without the electronic entropy.
    free_energies : (n_steps,) array, eV
        E − TS, of which the forces are the derivative.
    forces : (n_steps, n_atoms, 3) array, eV/Å
    virials : (n_steps, 3, 3) array or None, eV
        W = −dE/dε, without the atoms' kinetic energy; None if VASP did not compute the stress.
    scf_converged : (n_steps,) array of bool
        Whether the SCF took fewer than NELM iterations.
    ionic_converged : bool
        Whether a relaxation met its criterion, or dynamics ran all its steps.
    version : str
        Of VASP.
    incar : dict
        Tags that VASP read from INCAR.
    parameters : dict
        What VASP used, defaults filled in; some have another name than the tag (ENMAX for ENCUT).
    kpoints : tuple of int
        Divisions of the mesh around Γ; empty for other k-points.
    potcars : tuple of VaspPotcar
        In the order of the elements.
    n_electrons : float
        NELECT.
    kinetic_energies : (n_steps,) array or None, eV
        Of the atoms, in molecular dynamics.
    conserved_energies : (n_steps,) array or None, eV
        Free energy, kinetic energy and that of the thermostat, in molecular dynamics.
    """

    numbers: np.ndarray
    positions: np.ndarray
    cells: np.ndarray
    energies: np.ndarray
    free_energies: np.ndarray
    forces: np.ndarray
    virials: np.ndarray | None
    scf_converged: np.ndarray
    ionic_converged: bool
    version: str
    incar: dict[str, Any]
    parameters: dict[str, Any]
    kpoints: tuple[int, ...]
    potcars: tuple[VaspPotcar, ...]
    n_electrons: float
    kinetic_energies: np.ndarray | None = None
    conserved_energies: np.ndarray | None = None

    @property
    def n_steps(self) -> int:
        """Number of ionic steps."""
        return len(self.energies)

    @property
    def entropies(self) -> np.ndarray:
        """Electronic entropy term TS of each step, eV, (n_steps,)."""
        return np.asarray(self.energies - self.free_energies)

    def reordered(self, order: ArrayLike) -> VaspSteps:
        """The same with the atoms in another order: atom i here becomes atom ``order[i]``."""
        back = np.argsort(np.asarray(order))
        return replace(self, numbers=self.numbers[back], positions=self.positions[:, back], forces=self.forces[:, back])

    def single_point(self, step: int = -1) -> SinglePoint:
        """Energy, forces and virial of one step, counted from 0 or from the end."""
        return SinglePoint(
            numbers=self.numbers,
            positions=self.positions[step],
            cell=self.cells[step],
            energy_eV=float(self.energies[step]),
            forces=self.forces[step],
            virial=None if self.virials is None else self.virials[step],
            converged=bool(self.scf_converged[step]),
            n_electrons=self.n_electrons,
        )


def virials_of_kbar(stress_kbar: ArrayLike, cells: ArrayLike) -> np.ndarray:
    """Virials W = −dE/dε, eV, of VASP's stresses, which are positive under compression, kB.

    Parameters
    ----------
    stress_kbar : (n_steps, 3, 3) array, kB
        As in vasprun.xml.
    cells : (n_steps, 3, 3) array, Å

    Returns
    -------
    (n_steps, 3, 3) array, eV
        Symmetric.

    Examples
    --------
    >>> cell = 10.0 * np.eye(3)  # 1000 Å³ × 16.02176634 kB = 1000 Å³ × 0.01 eV/Å³
    >>> virials_of_kbar([16.02176634 * np.eye(3)], [cell])[0].diagonal().round(9).tolist()
    [10.0, 10.0, 10.0]
    """
    pressure = np.asarray(stress_kbar, np.float64)
    pressure = (pressure + pressure.swapaxes(-1, -2)) / 2
    volumes = np.abs(np.linalg.det(np.asarray(cells, np.float64)))
    return virial_of_stress(-GPA_PER_KBAR * pressure, volumes[:, None, None])


def read_vasprun(path: str | Path, outcar: str | Path | None = None) -> VaspSteps:
    """Read vasprun.xml, which may be compressed.

    Parameters
    ----------
    path : path
        Of vasprun.xml.
    outcar : path, optional
        Of the same run's OUTCAR. Its stresses ("in kB", without the atoms' kinetic energy) must be those of
        vasprun.xml.

    Returns
    -------
    VaspSteps
        All ionic steps.

    Raises
    ------
    RefusedError
        If the file is cut short, is no vasprun.xml, holds no energies or forces, or disagrees with OUTCAR.

    Notes
    -----
    In <calculation><energy> VASP 5.4 and 6 misprint all but the free energy; so E = F + (E − F of the last iteration of
    the SCF), as pymatgen does for E(σ→0).
    """
    path = Path(path)
    run = _vasprun(path)
    steps = run.ionic_steps
    if not steps or any(not {"forces", "e_fr_energy"} <= step.keys() or step["structure"] is None for step in steps):
        raise RefusedError(
            f"{path} holds no step with energy and forces; give the vasprun.xml of a finished run", "file"
        )
    if run.incar.get("ML_LMLFF"):
        raise RefusedError(f"{path} is of a run with VASP's own machine-learned force field; give one without", "file")
    structure = steps[0]["structure"]
    cells = np.array([step["structure"].lattice.matrix for step in steps])
    free = np.array([step["e_fr_energy"] for step in steps])
    stress = np.array([step["stress"] for step in steps]) if all("stress" in step for step in steps) else None
    if stress is not None and outcar is not None:
        _check_outcar(stress, Path(outcar))
    return VaspSteps(
        numbers=np.array(structure.atomic_numbers),
        positions=np.array([step["structure"].cart_coords for step in steps]),
        cells=cells,
        energies=free + np.array([_entropy(step) for step in steps]),
        free_energies=free,
        forces=np.array([step["forces"] for step in steps], np.float64),
        virials=None if stress is None else virials_of_kbar(stress, cells),
        scf_converged=np.array([0 < len(step["electronic_steps"]) < run.parameters["NELM"] for step in steps]),
        ionic_converged=bool(run.converged_ionic),
        version=run.vasp_version.strip(),
        incar=dict(run.incar),
        parameters=dict(run.parameters),
        kpoints=_mesh(run),
        potcars=_potcars(path),
        n_electrons=float(run.parameters["NELECT"]),
        kinetic_energies=_of_dynamics(steps, "kinetic"),
        conserved_energies=_of_dynamics(steps, "total"),
    )


def _mesh(run: Vasprun) -> tuple[int, ...]:
    """Divisions of the mesh of k-points around Γ; empty for others (a mesh beside Γ, a list)."""
    at_origin = np.abs(np.array(run.actual_kpoints, np.float64).reshape(-1, 3)).max(axis=1) < 1e-8
    if run.kpoints.num_kpts == 0:
        return tuple(int(n) for n in run.kpoints.kpts[0]) if at_origin.any() else ()
    return (1, 1, 1) if at_origin.all() else ()


def _of_dynamics(steps: list[dict[str, Any]], name: str) -> np.ndarray | None:
    """An energy that only molecular dynamics has."""
    return np.array([step[name] for step in steps]) if all(name in step for step in steps) else None


def outcar_stresses_kbar(path: str | Path) -> np.ndarray:
    """Stresses that OUTCAR prints ("in kB"), positive under compression, (n_steps, 3, 3), kB."""
    return _outcar_tensors(path, "in kB")


def outcar_pressures_kbar(path: str | Path) -> np.ndarray:
    """Pressure tensors with the motion of the atoms that OUTCAR prints ("Total+kin."), (n_steps, 3, 3), kB."""
    return _outcar_tensors(path, r"Total\+kin\.")


def _outcar_tensors(path: str | Path, heading: str) -> np.ndarray:
    from monty.io import zopen

    number = r"\s+(-?\d+\.\d+)"
    with zopen(path, "rt", encoding="utf-8", errors="replace") as file:
        found = re.findall(rf"^ +{heading}{number * 6}\s*$", str(file.read()), re.MULTILINE)
    xx, yy, zz, xy, yz, zx = np.array(found, np.float64).reshape(-1, 6).T
    return np.moveaxis(np.array([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]]), -1, 0)


def placed(steps: VaspSteps, positions: ArrayLike, cell: ArrayLike) -> VaspSteps:
    """The same steps, the first of which repeats a configuration to its digits, with that configuration as it stands.

    VASP wraps the atoms into the cell and prints eight digits.

    Raises
    ------
    RefusedError
        If it is another configuration (gate 'structure').
    """
    position, box = np.asarray(positions, np.float64), np.asarray(cell, np.float64)
    off = float(np.abs(steps.cells[0] - box).max())
    if off > POSITION_TOLERANCE_A:
        raise RefusedError(f"VASP's cell is off by {off:.1e} Å from the one asked for", "structure")
    if steps.positions[0].shape != position.shape:
        raise RefusedError(f"VASP has {steps.positions.shape[1]} atoms, {len(position)} were asked for", "structure")
    fractional = (steps.positions[0] - position) @ np.linalg.inv(box)
    off = float(np.abs((fractional - np.round(fractional)) @ box).max())
    if off > POSITION_TOLERANCE_A:
        raise RefusedError(f"VASP's positions are off by {off:.1e} Å from those asked for", "structure")
    first = np.concatenate([position[None], steps.positions[1:]])
    return replace(steps, positions=first, cells=np.concatenate([box[None], steps.cells[1:]]))


def _vasprun(path: Path) -> Vasprun:
    from xml.etree.ElementTree import ParseError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pymatgen.io.vasp.outputs import Vasprun

        try:
            return Vasprun(str(path), parse_dos=False, parse_eigen=False, parse_potcar_file=False)
        except FileNotFoundError as error:
            raise RefusedError(f"there is no {path}; VASP did not get so far", "file") from error
        # What pymatgen raises for a file cut short depends on the place.
        except (
            ParseError,
            SyntaxError,
            ValueError,
            AttributeError,
            KeyError,
            IndexError,
            TypeError,
            OSError,
            EOFError,
        ) as error:
            reason = " ".join(str(error).split())[:120]
            raise RefusedError(
                f"{path} is no whole vasprun.xml ({type(error).__name__}: {reason}); run VASP again", "file"
            ) from error


def _entropy(step: dict[str, Any]) -> float:
    """TS = E − F of the last iteration of the SCF, or of the step itself if it has no iterations, eV."""
    iterations = [one for one in step["electronic_steps"] if {"e_wo_entrp", "e_fr_energy"} <= one.keys()]
    last = iterations[-1] if iterations else step
    return float(last["e_wo_entrp"] - last["e_fr_energy"])


def _potcars(path: Path) -> tuple[VaspPotcar, ...]:
    from xml.etree.ElementTree import iterparse

    from monty.io import zopen

    with zopen(path, "rb") as file:
        for _, element in iterparse(file):
            if element.tag == "array" and element.get("name") == "atomtypes":
                rows = [[(cell.text or "").strip() for cell in row] for row in element.iter("rc")]
                return tuple(VaspPotcar(row[1], row[4], float(row[3])) for row in rows)
    return ()


def _check_outcar(stress: np.ndarray, outcar: Path) -> None:
    printed = outcar_stresses_kbar(outcar)
    if len(printed) != len(stress):
        raise RefusedError(
            f"{outcar} has {len(printed)} stresses, vasprun.xml {len(stress)}; give files of one run", "file"
        )
    off = float(np.abs(printed - (stress + stress.swapaxes(-1, -2)) / 2).max())
    if off > _STRESS_TOLERANCE_KBAR:
        raise RefusedError(
            f"the stresses of vasprun.xml and of {outcar} differ by {off:.3f} kB, more than "
            f"{_STRESS_TOLERANCE_KBAR} kB; give files of one run",
            "file",
        )
