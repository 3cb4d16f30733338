"""How LAMMPS gets the forces of a potential: lines of its input, and if need be a program that gives it them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Name of the `fix external` through which a program gives LAMMPS the forces.
FIX = "potential"

#: LAMMPS' lines for forces from outside. The pair style does nothing, but LAMMPS wants one to communicate atoms.
EXTERNAL_COMMANDS = f"""pair_style zero 1.0 nocoeff
pair_coeff * *
fix {FIX} all external pf/callback 1 1
fix_modify {FIX} energy yes virial yes"""


@dataclass(frozen=True)
class Coupling:
    """How LAMMPS uses one potential.

    Attributes
    ----------
    commands : str
        Lines of LAMMPS' input: ``pair_style …`` and ``pair_coeff …``, or `EXTERNAL_COMMANDS`. Files that they name are
        relative to the folder in which LAMMPS runs.
    plugins : bool
        Whether the plugins of installed packages are looked up, which is slow: for ``pair_style deepmd``.
    driver : tuple of str, optional
        Python module and arguments of a program that runs LAMMPS as a library and gives it the forces, see
        `lipsdb.md.external`; None if ``lmp`` itself knows the potential.
    grades : bool
        Whether that program can evaluate the potential's extrapolation grade.
    versions : mapping, optional
        What else than LAMMPS computes the forces, with its version, for the record; names have no dots.

    Notes
    -----
    A driver is one process: what is otherwise the number of MPI ranks is then the number of its threads.

    Examples
    --------
    >>> Coupling("pair_style lj/cut 7.0").program
    'lmp'
    >>> Coupling(EXTERNAL_COMMANDS, driver=("lipsdb.potentials.mtp.lammps", "model.mtp")).program
    'python -m lipsdb.potentials.mtp.lammps'
    """

    commands: str
    plugins: bool = False
    driver: tuple[str, ...] | None = None
    grades: bool = False
    versions: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def program(self) -> str:
        """The program that runs, for the record."""
        return "lmp" if self.driver is None else f"python -m {self.driver[0]}"


@dataclass(frozen=True)
class DriverArguments:
    """What `lipsdb.md.run` tells a driver beside the arguments that the coupling has for it.

    Attributes
    ----------
    script, log : str
        As for ``lmp -in … -log …``.
    threads : int
        Threads of the force calculation.
    rebuild_every : int
        At multiples of so many steps, forces must not depend on the steps before (0: never): restart files are written.
    grade_every : int
        At multiples of so many steps the extrapolation grade is evaluated (0: never).
    select_grade, break_grade : float
        Grades from which on a frame is kept, and from which on the run ends; dimensionless.
    grade_file, selected_file : str
        Where grades and frames are written.
    kept_before : int
        Frames that the processes before this one kept, where it continues a run.
    largest_before : float
        The largest grade that they met, dimensionless.
    """

    script: str
    log: str
    threads: int = 1
    rebuild_every: int = 0
    grade_every: int = 0
    select_grade: float = math.inf
    break_grade: float = math.inf
    grade_file: str = ""
    selected_file: str = ""
    kept_before: int = 0
    largest_before: float = 0.0

    def words(self) -> list[str]:
        """The same as words of a command line."""
        words = ["-in", self.script, "-log", self.log]
        words += ["--threads", str(self.threads), "--rebuild-every", str(self.rebuild_every)]
        if self.grade_every:
            words += ["--grade-every", str(self.grade_every), "--select-grade", repr(self.select_grade)]
            words += ["--break-grade", repr(self.break_grade)]
            words += ["--grade-file", self.grade_file, "--selected-file", self.selected_file]
            words += ["--kept-before", str(self.kept_before), "--largest-before", repr(self.largest_before)]
        return words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let the parser of a driver take what `DriverArguments.words` gives."""
    parser.add_argument("-in", dest="script", required=True, help="LAMMPS script")
    parser.add_argument("-log", dest="log", required=True, help="log that LAMMPS writes")
    parser.add_argument("--threads", type=int, default=1, help="threads of the force calculation")
    parser.add_argument("--rebuild-every", type=int, default=0, help="steps between full rebuilds of neighbours")
    parser.add_argument("--grade-every", type=int, default=0, help="steps between extrapolation grades; 0: none")
    parser.add_argument("--select-grade", type=float, default=math.inf, help="grade from which on a frame is kept")
    parser.add_argument("--break-grade", type=float, default=math.inf, help="grade from which on the run ends")
    parser.add_argument("--grade-file", default="", help="file of the grades")
    parser.add_argument("--selected-file", default="", help="file of the kept frames (extended XYZ)")
    parser.add_argument("--kept-before", type=int, default=0, help="frames kept by earlier processes of the run")
    parser.add_argument("--largest-before", type=float, default=0.0, help="largest grade of these processes")


def arguments_of(parsed: argparse.Namespace) -> DriverArguments:
    """What a parser with `add_arguments` found."""
    names = DriverArguments.__dataclass_fields__
    return DriverArguments(**{name: value for name, value in vars(parsed).items() if name in names})
