"""Run VASP in a folder, and let a result out only if it is what was asked for."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipsdb.dft.settings import RelaxationSettings
from lipsdb.dft.vasp.comparison import check_level, check_tags
from lipsdb.dft.vasp.custody import FREE_TAGS, FREE_TAGS_OF_RELAXATION, Custody, run_in_custody
from lipsdb.dft.vasp.inputs import VaspInputs
from lipsdb.dft.vasp.level import VDW_KERNEL, VaspLevel
from lipsdb.dft.vasp.output import VaspSteps, placed, read_vasprun
from lipsdb.errors import InterruptedRunError, MissingProgramError, RefusedError
from lipsdb.settings import read_settings

#: Largest electronic entropy of a static run, eV/atom: above it the energy without entropy does not fit the forces.
ENTROPY_LIMIT_eV_PER_ATOM = 1e-3
#: Largest change of the energy in the last step of a relaxation, eV: printed in doi 10.1039/d3ya00234a.
ENERGY_CHANGE_LIMIT_eV = 2e-2
#: Files that are kept of a run; never POTCAR and WAVECAR.
KEPT_FILES = (
    *("INCAR", "KPOINTS", "POSCAR", "POTCAR.spec", "vasprun.xml", "OUTCAR", "OSZICAR", "CONTCAR", "vasp.out"),
    *("std_err.txt", "custodian.json"),
)
_OUTPUTS = (
    "vasprun.xml",
    "OUTCAR",
    "OSZICAR",
    "CONTCAR",
    "XDATCAR",
    "vasp.out",
    "std_err.txt",
    "custodian.json",
    "STOPCAR",
)
_REMEDY = "set LIPSDB_VASP_COMMAND to the command that runs it, such as 'mpirun -n 16 vasp_std'"
_FROM_OUTSIDE = frozenset(
    number
    for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if (number := getattr(signal, name, None)) is not None
)


@dataclass(frozen=True)
class VaspRun:
    """A run that passed.

    Attributes
    ----------
    inputs : VaspInputs
        What was asked.
    steps : VaspSteps
        All ionic steps, the atoms in the order of the question; the first step repeats its positions and cell exactly.
    corrections : tuple of str
        What custodian changed between attempts.
    n_attempts : int
        How often VASP was started.
    files : dict
        Name -> path of the files worth keeping (`KEPT_FILES`).
    n_cores : int
        MPI ranks and their threads, as VASP says.
    """

    inputs: VaspInputs
    steps: VaspSteps
    corrections: tuple[str, ...]
    n_attempts: int
    files: dict[str, Path]
    n_cores: int


def vasp_command(command: str | Sequence[str] | None = None) -> list[str]:
    """The words that run VASP: those given, or ``LIPSDB_VASP_COMMAND``.

    Raises
    ------
    MissingProgramError
        If there is none, or its first word is no program.
    """
    given = command if command is not None else read_settings().vasp_command
    words = shlex.split(given) if isinstance(given, str) else list(given or [])
    if not words:
        raise MissingProgramError(f"no command for VASP is known; {_REMEDY}")
    if shutil.which(words[0]) is None:
        raise MissingProgramError(f"no {words[0]} on PATH (VASP's command is {shlex.join(words)!r}); {_REMEDY}")
    return words


def run_vasp(
    folder: str | Path,
    inputs: VaspInputs,
    command: str | Sequence[str] | None = None,
    *,
    lock_fd: int | None = None,
    vdw_kernel: str | Path | None = None,
    max_errors: int = 5,
    poll_s: float = 2.0,
) -> VaspRun:
    """Run VASP until it is done; a run that was interrupted begins anew.

    Parameters
    ----------
    folder : path
        Where VASP runs, its own; made if it is missing.
    inputs : VaspInputs
        What to run, with POTCAR files.
    command : str or sequence of str, optional
        Command that runs VASP; by default ``LIPSDB_VASP_COMMAND``.
    lock_fd : int, optional
        Descriptor of a locked file, inherited by VASP: the lock lives as long as any of its processes.
    vdw_kernel : path, optional
        VASP's ``vdw_kernel.bindat``, needed by optB88-vdW before VASP 6.4.3; by default ``LIPSDB_VASP_VDW_KERNEL``.
    max_errors : int
        Attempts that custodian may make.
    poll_s : float
        Seconds between looks at the process.

    Returns
    -------
    VaspRun
        Steps, corrections and files. Of dynamics, single steps may have failed the SCF (``steps.scf_converged``).

    Raises
    ------
    RefusedError
        Its `gate` is 'scf' if the SCF did not converge whatever custodian tried, 'ionic' if the ionic loop did not,
        'level' if the settings are no longer those asked for, 'valence' if the PAW data sets or their electrons are
        not, 'structure' if the atoms are not, 'entropy' if a static run's electrons are too hot, 'program' if VASP
        stopped with an error, 'file' if its output cannot be read.
    InterruptedRunError
        If VASP was killed; run it again.
    MissingProgramError
        If VASP or the POTCAR files are not there.

    Notes
    -----
    On Linux, VASP is stopped when the *thread* that called this function ends.
    """
    folder = Path(folder)
    words = vasp_command(command)
    if inputs.n_electrons is None:
        raise MissingProgramError(
            "the input has no POTCAR files; set PMG_VASP_PSP_DIR to their folder and make it with potcars=True"
        )
    _prepare(folder, inputs, vdw_kernel or os.environ.get("LIPSDB_VASP_VDW_KERNEL"))
    custody = run_in_custody(folder, words, inputs.task, lock_fd, max_errors, poll_s)
    _check_ending(folder, custody)
    steps = read_vasprun(folder / "vasprun.xml", folder / "OUTCAR")
    _check_convergence(inputs, steps, custody)
    _check_files(folder, inputs)
    check_level(inputs.level, steps, inputs.n_electrons, tighter_scf=inputs.task == "relaxation")
    steps = _in_order(inputs, steps, moved=(inputs.task == "relaxation" and custody.n_attempts > 1))
    return VaspRun(inputs, steps, custody.corrections, custody.n_attempts, kept_files(folder), _n_cores(folder))


def kept_files(folder: Path) -> dict[str, Path]:
    """The files worth keeping that are there, also of a run that failed."""
    return {name: folder / name for name in KEPT_FILES if (folder / name).is_file()}


def _n_cores(folder: Path) -> int:
    """Cores that VASP used by its first words, such as 'running 8 mpi-ranks, with 2 threads/rank'; 1 if it is mute."""
    said = (folder / "vasp.out").read_text("utf-8", "replace")[:4000]
    ranks = re.search(r"running +(\d+) +mpi-ranks(?:, +with +(\d+) +threads)?", said)
    total = re.search(r"running on +(\d+) +total cores", said)
    return int(ranks[1]) * int(ranks[2] or 1) if ranks else int(total[1]) if total else 1


def check_entropy(level: VaspLevel, steps: VaspSteps, step: int) -> None:
    """Refuse a step whose electrons are so hot that the energy without entropy does not fit the forces.

    Raises
    ------
    RefusedError
        Its `gate` is 'entropy'.
    """
    entropy = abs(float(steps.entropies[step])) / len(steps.numbers)
    if entropy > ENTROPY_LIMIT_eV_PER_ATOM:
        raise RefusedError(
            f"the electronic entropy is {1000 * entropy:.2f} meV/atom, above the limit of "
            f"{1000 * ENTROPY_LIMIT_eV_PER_ATOM:g} meV/atom: the smearing of SIGMA = {level.sigma_eV:g} eV is too wide "
            "for this structure; use a level with a narrower one",
            "entropy",
        )


def _prepare(folder: Path, inputs: VaspInputs, vdw_kernel: str | Path | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in (*(folder / name for name in _OUTPUTS), *folder.glob("error.*.tar.gz")):
        path.unlink(missing_ok=True)
    inputs.write(folder)
    if inputs.level.vdw_kernel is not None and vdw_kernel is not None:
        kernel = Path(vdw_kernel)
        if not kernel.is_file():
            raise MissingProgramError(f"{kernel} is not a file; set LIPSDB_VASP_VDW_KERNEL to VASP's {VDW_KERNEL}")
        shutil.copyfile(kernel, folder / VDW_KERNEL)


def _check_ending(folder: Path, custody: Custody) -> None:
    """Raise if VASP was killed or did not end by itself in good order."""
    number = -custody.status if custody.status < 0 else custody.status - 128
    if not custody.stopped_here and number in _FROM_OUTSIDE:
        name = signal.Signals(number).name
        raise InterruptedRunError(f"VASP was stopped by {name} in {folder}; run the job again, it begins anew")
    if custody.status != 0 and not (folder / "vasprun.xml").is_file():
        raise RefusedError(
            f"VASP ended with status {custody.status} and no vasprun.xml; its last words: {_last_words(folder)}",
            "program",
        )
    if custody.failure is not None and custody.failure.startswith(("Validation failed", "Job return code")):
        raise RefusedError(
            f"VASP ended with status {custody.status} ({custody.failure.rstrip('.')}); its last words: "
            f"{_last_words(folder)}",
            "program",
        )


def _last_words(folder: Path) -> str:
    for name in ("std_err.txt", "vasp.out"):
        path = folder / name
        if path.is_file():
            lines = [line.strip(" |*\t") for line in path.read_text("utf-8", "replace").splitlines()]
            written = [line for line in lines if line.strip("-_=")]
            if written:
                return written[-1][:200]
    return "none"


def _check_convergence(inputs: VaspInputs, steps: VaspSteps, custody: Custody) -> None:
    tried = f" after {'; '.join(custody.corrections)}" if custody.corrections else ""
    if inputs.task != "aimd" and not steps.scf_converged[-1]:
        raise RefusedError(
            f"the SCF did not reach EDIFF = {inputs.level.ediff_eV:g} eV in {custody.n_attempts} attempts{tried}; "
            "change the structure or the level of theory",
            "scf",
        )
    if inputs.task == "aimd" and not steps.ionic_converged:
        raise RefusedError(f"the dynamics ended after {steps.n_steps} steps; look at vasp.out", "ionic")
    if isinstance(inputs.settings, RelaxationSettings):
        _check_relaxation(inputs.settings, steps)
    if inputs.task == "static":
        check_entropy(inputs.level, steps, -1)
    if custody.failure is not None:
        raise RefusedError(f"custodian gave up ({custody.failure.rstrip('.')}){tried}; look at vasp.out", "program")


def _check_relaxation(settings: RelaxationSettings, steps: VaspSteps) -> None:
    largest = float(np.linalg.norm(steps.forces[-1], axis=1).max())
    if not steps.ionic_converged or largest > settings.max_force_eV_A + 1e-6:
        raise RefusedError(
            f"the relaxation did not converge in {settings.max_steps} steps: a force of {largest:.3f} eV/Å is left, "
            f"allowed are {settings.max_force_eV_A:g}; raise max_steps or begin nearer to the minimum",
            "ionic",
        )
    change = abs(float(np.diff(steps.free_energies[-2:])[0])) if steps.n_steps > 1 else 0.0
    if change > ENERGY_CHANGE_LIMIT_eV:
        raise RefusedError(
            f"the last step of the relaxation changed the energy by {change:.3f} eV, allowed are "
            f"{ENERGY_CHANGE_LIMIT_eV:g} eV; lower max_force_eV_A",
            "ionic",
        )


def _check_files(folder: Path, inputs: VaspInputs) -> None:
    """Compare the input files of the last attempt with those asked for: custodian may have changed them."""
    from pymatgen.io.vasp.inputs import Incar, Kpoints

    final, asked = Incar.from_file(str(folder / "INCAR")), inputs.vasp_input["INCAR"]
    kpoints, mesh = Kpoints.from_file(str(folder / "KPOINTS")), inputs.vasp_input["KPOINTS"]
    relaxation = inputs.task == "relaxation"
    free = FREE_TAGS | (FREE_TAGS_OF_RELAXATION if relaxation else frozenset())
    if relaxation and "EDIFF" in final and final["EDIFF"] <= asked["EDIFF"]:
        free = free | {"EDIFF"}  # a tighter SCF of a relaxation is none the worse
    check_tags(
        {tag: value for tag, value in final.items() if tag not in free},
        {tag: value for tag, value in asked.items() if tag not in free},
        "the corrected INCAR has",
    )
    if kpoints.style != mesh.style or [tuple(k) for k in kpoints.kpts] != [tuple(k) for k in mesh.kpts]:
        raise RefusedError(
            f"the corrected KPOINTS are {kpoints.style.name} {kpoints.kpts}, asked were {mesh.kpts}", "level"
        )


def _in_order(inputs: VaspInputs, steps: VaspSteps, *, moved: bool) -> VaspSteps:
    """Give the atoms the order of the question; refuse other atoms. A restarted relaxation begins elsewhere."""
    if len(steps.numbers) != len(inputs.numbers) or (steps.numbers != inputs.numbers[inputs.order]).any():
        raise RefusedError("VASP's atoms are not those that were asked for", "structure")
    steps = steps.reordered(inputs.order)
    return steps if moved else placed(steps, inputs.positions, inputs.cell)
