"""MD and relaxation with a moment tensor potential in LAMMPS, by lipsdb's kernel and by native pair styles."""

from __future__ import annotations

import contextlib
import hashlib
import os
import runpy
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from lipsdb.errors import BadInputError, InterruptedRunError, LipsdbError
from lipsdb.md import run as run_module
from lipsdb.md.coupling import Coupling
from lipsdb.md.result import MDResult
from lipsdb.md.run import run_lammps
from lipsdb.md.settings import Extrapolation, MDSettings
from lipsdb.md.static import relax_strained_cells
from lipsdb.md.trajectory import read_trajectory
from lipsdb.potentials.mtp.coupling import coupling, pair_styles
from lipsdb.potentials.mtp.files import write_mtp
from lipsdb.potentials.mtp.grade import active_set
from lipsdb.potentials.mtp.kernel import ForceField
from lipsdb.potentials.mtp.lammps import kernel_forces
from lipsdb.potentials.training_set import LabelledFrames

BAR_PER_EV_A3 = 1.602176634e6  # 1.602176634e-19 J in 1e-30 m³ are 1.602176634e11 Pa
ELEMENTS = ("Kr", "Ar")
argon_like = runpy.run_path(str(Path(__file__).with_name("argon_like.py")))["argon_like"]


@dataclass(frozen=True)
class Crystal:
    """Argon and a little krypton, 32 atoms."""

    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray


@pytest.fixture
def crystal() -> Crystal:
    atoms = bulk("Ar", "fcc", a=5.4, cubic=True).repeat(2)
    atoms.numbers[::5] = 36
    return Crystal(atoms.numbers, atoms.positions, atoms.cell.array)


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "POLL_SECONDS", 0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the potential in it."""
    write_mtp(tmp_path / "argon.mtp", argon_like())
    return tmp_path


def simulate(folder: Path, crystal: Crystal, settings: MDSettings, how: Coupling | None = None, **options) -> MDResult:
    folder.mkdir(exist_ok=True)
    write_mtp(folder / "argon.mtp", argon_like())
    how = how or coupling(folder / "argon.mtp", ELEMENTS)
    return run_lammps(
        folder, settings, how, crystal.numbers, options.pop("positions", crystal.positions),
        options.pop("cell", crystal.cell), ELEMENTS, **{"restart_interval": 100} | options,
    )  # fmt: skip


def energy(positions: np.ndarray, cell: np.ndarray, numbers: np.ndarray) -> float:
    return float(ForceField(argon_like(), (numbers == 18).astype(int), skin_A=0.0).compute(positions, cell)[0].sum())


def kill_at(folder: Path, step: int):
    def progress(now: int, total: int) -> None:
        for entry in Path("/proc").iterdir() if now >= step else []:
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if (entry / "cwd").resolve() == folder.resolve():
                        os.kill(int(entry.name), signal.SIGKILL)

    return progress


def test_npt_conserves_its_energy_and_killed_and_continued_has_the_same_bits(tmp_path, crystal) -> None:
    """Neighbour lists, and with them the order of sums, are those of a process begun anew at each restart file."""
    settings = MDSettings(
        ensemble="npt", pressure_bar=200, npt_coupling="aniso", temperature_K=150, n_steps=800, timestep_fs=4,
        equilibration_steps=400, dump_interval=50, thermo_interval=50, barostat_damping_ps=0.5,
    )  # fmt: skip
    straight = simulate(tmp_path / "straight", crystal, settings)
    assert_physical(straight, crystal.numbers)
    killed = tmp_path / "killed"
    with pytest.raises(InterruptedRunError):
        simulate(killed, crystal, settings, progress=kill_at(killed, 450))
    result = simulate(killed, crystal, settings)
    assert result.n_restarts == 1
    a, b = read_trajectory(straight.trajectory_path), read_trajectory(result.trajectory_path)
    np.testing.assert_array_equal(a.positions, b.positions)
    np.testing.assert_array_equal(a.cell, b.cell)
    for name in straight.thermo:
        np.testing.assert_array_equal(straight.thermo[name], result.thermo[name])
    assert np.ptp(straight.thermo["volume"]) > 10
    # Atoms moved on: lists of neighbours were made between restart files, too.
    assert np.abs(a.positions[-1] - a.positions[0]).max() > 0.5


def assert_physical(result: MDResult, numbers: np.ndarray) -> None:
    """The conserved energy is; energy and pressure are those of the potential, by finite differences under strain."""
    thermo = result.thermo
    assert np.ptp(thermo["conserved_energy"]) < 5e-3 * thermo["kinetic_energy"].mean()
    assert np.ptp(thermo["potential_energy"]) > 0.05 * thermo["kinetic_energy"].mean()
    moved = read_trajectory(result.trajectory_path)
    last, cell = moved.positions[-1].astype(float), moved.cell[-1]
    assert thermo["potential_energy"][-1] == pytest.approx(energy(last, cell, numbers), rel=1e-6)
    h, virial = 1e-5, 0.0
    for axis in range(3):
        strain = np.eye(3)[axis] * h
        up, down = (energy(last * (1 + sign * strain), cell * (1 + sign * strain), numbers) for sign in (1, -1))
        virial -= (up - down) / (2 * h)
    expected = (2 * thermo["kinetic_energy"][-1] + virial) / (3 * np.linalg.det(cell)) * BAR_PER_EV_A3
    # Positions of the trajectory are of single precision.
    assert thermo["pressure"][-1] == pytest.approx(expected, abs=0.5)
    assert abs(expected) > 50


def test_a_run_that_leaves_the_training_data_is_stopped_with_its_frames(folder, crystal) -> None:
    rng = np.random.default_rng(0)
    frames = crystal.positions + rng.normal(0, 0.08, (6, 32, 3))
    none = np.zeros((6, 32, 3))
    trained = LabelledFrames(crystal.numbers, frames, np.tile(crystal.cell, (6, 1, 1)), np.zeros(6), none)
    active = active_set(argon_like(), {"crystal": trained})
    active.save(folder / "active.npz")
    watch = Extrapolation(interval=10, select_grade=3, break_grade=200)
    settings = MDSettings(
        temperature_K=400, n_steps=20_000, timestep_fs=4, dump_interval=10, thermo_interval=10, extrapolation=watch
    )
    how = coupling(folder / "argon.mtp", ELEMENTS, active_set=folder / "active.npz", extrapolation=watch)
    result = simulate(folder, crystal, settings, how, ranks=2)  # two threads
    assert (result.program, result.ranks) == ("python -m lipsdb.potentials.mtp.lammps", 2)
    assert "on 1 procs for" in result.log_path.read_text()
    grades = result.extrapolation
    assert grades.max_grades[0] <= 3  # the crystal at rest
    assert grades.max_grades[-1] >= 200
    assert 0 < grades.stopped_at_step < 20_000
    element = {18: "Ar", 36: "Kr"}[int(crystal.numbers[grades.atoms[-1]])]
    assert f"of atom {grades.atoms[-1]} ({element}) at step {grades.stopped_at_step} of 20000" in grades.stopped
    selected = ase.io.read(grades.selected_path, ":")
    assert len(selected) == grades.n_selected > 1
    # The grade of the last frame once more, from its file.
    from lipsdb.potentials.mtp.grade import grader

    again = grader(folder / "argon.mtp", folder / "active.npz")(
        selected[-1].numbers, selected[-1].positions, selected[-1].cell.array
    )
    assert again.max() == pytest.approx(grades.max_grades[-1], rel=1e-3)
    assert int(again.argmax()) == grades.atoms[-1]
    assert result.n_frames == grades.stopped_at_step // 10 + 1


def test_grades_without_an_active_set_are_refused(folder) -> None:
    watch = Extrapolation(interval=10, select_grade=2, break_grade=10)
    with pytest.raises(BadInputError, match="stored without its active set"):
        coupling(folder / "argon.mtp", ELEMENTS, extrapolation=watch)


def test_strained_cells_are_relaxed_and_their_stress_is_the_derivative_of_the_energy(folder, crystal) -> None:
    shear = np.array([[[1, 0.01 * sign, 0], [0, 1, 0], [0, 0, 1]] for sign in (1, -1)])
    found = relax_strained_cells(
        folder, coupling(folder / "argon.mtp", ELEMENTS), crystal.numbers, crystal.positions, crystal.cell, ELEMENTS,
        shear, max_force_eV_A=1e-5,
    )  # fmt: skip
    assert np.abs(found.stresses_GPa[0]).max() < 0.01
    volume = np.linalg.det(found.cells[0])
    # Second differences of relaxed energies against differences of stresses: both are C66.
    from_energies = (found.energies_eV[1] + found.energies_eV[2] - 2 * found.energies_eV[0]) / (0.01**2 * volume)
    from_stresses = (found.stresses_GPa[1] - found.stresses_GPa[2])[0, 1] / 0.02
    assert from_stresses == pytest.approx(from_energies * BAR_PER_EV_A3 * 1e-4, rel=0.02)
    assert from_stresses > 0.5


STAND_IN = """#!{python}
import sys
arguments = sys.argv[1:]
if arguments == ["-h"]:
    print("* Atom styles:\\n\\natomic  full\\n\\n* Pair styles:\\n\\nlj/cut  {styles}  zero\\n\\n* Bond styles:\\n")
else:
    script = open(arguments[arguments.index("-in") + 1]).read()
    ini = open("mlip.ini").read()
    print("potential taken" if {taken!r} in script and "argon.mtp" in script + ini else "ERROR: Illegal command")
"""


@pytest.mark.parametrize(
    ("styles", "taken", "lines"),
    [
        ("mtp mtp/kk", "pair_style mtp\n", "pair_style mtp\npair_coeff * * argon.mtp 0 1"),
        ("mtp", "pair_style mtp argon.mtp", "pair_style mtp argon.mtp\npair_coeff * *"),
        ("mlip", "pair_style mlip mlip.ini", "pair_style mlip mlip.ini\npair_coeff * *"),
        ("mlip", "load_from", "pair_style mlip load_from=argon.mtp\npair_coeff * *"),
        ("mliap", "pair_style", None),
        ("mlip", "another syntax", None),
    ],
)
def test_a_native_pair_style_is_used_if_lammps_lists_it_and_takes_the_potential(
    folder, monkeypatch, styles, taken, lines
) -> None:
    lmp = folder / "bin" / "lmp"
    lmp.parent.mkdir()
    lmp.write_text(STAND_IN.format(python=sys.executable, styles=styles, taken=taken))
    lmp.chmod(0o755)
    monkeypatch.setattr("lipsdb.md.process.find_lammps", lambda ranks=1: (lmp, None))
    found = coupling(folder / "argon.mtp", ELEMENTS)
    assert found.program == ("python -m lipsdb.potentials.mtp.lammps" if lines is None else "lmp")
    assert lines is None or found.commands == lines
    if lines is not None and "mlip.ini" in lines:
        assert (folder / "mlip.ini").read_text() == "mtp-filename argon.mtp\nselect FALSE\n"
    graded = coupling(
        folder / "argon.mtp", ELEMENTS, active_set=folder / "active.npz",
        extrapolation=Extrapolation(interval=10, select_grade=2, break_grade=10),
    )  # fmt: skip
    assert graded.driver is not None
    assert graded.grades


def test_a_plugin_that_is_named_must_be_there_and_work(folder, monkeypatch) -> None:
    monkeypatch.setenv("LIPSDB_MTP_PLUGIN", str(folder / "mtpplugin.so"))
    with pytest.raises(BadInputError, match=r"LIPSDB_MTP_PLUGIN = .*mtpplugin\.so is not a file"):
        coupling(folder / "argon.mtp", ELEMENTS)
    (folder / "mtpplugin.so").write_bytes(b"no library")
    with pytest.raises(LipsdbError, match=r"takes argon\.mtp with \(Open of file .* too short\); unset"):
        coupling(folder / "argon.mtp", ELEMENTS)
    monkeypatch.setattr("lipsdb.potentials.mtp.coupling._refusal", lambda *_: None)  # as if it worked
    digest = hashlib.sha256(b"no library").hexdigest()
    found = coupling(folder / "argon.mtp", ELEMENTS)
    assert found.versions == {"LIPSDB_MTP_PLUGIN": f"mtpplugin.so sha256 {digest}"}


ONCE_BROKEN = """#!{python}
import pathlib, sys
asked = pathlib.Path(sys.argv[0] + ".asked")
if not asked.exists():
    asked.touch()
    sys.exit("libmpi.so: cannot open shared object file")
print("* Pair styles:\\n\\nlj/cut  mtp\\n")
"""


def test_an_lmp_that_could_not_be_asked_is_asked_again(tmp_path) -> None:
    lmp = tmp_path / "lmp"
    lmp.write_text(ONCE_BROKEN.format(python=sys.executable))
    lmp.chmod(0o755)
    assert [sorted(pair_styles(lmp)) for _ in range(2)] == [[], ["lj/cut", "mtp"]]


def test_elements_that_the_potential_lacks_are_named(folder) -> None:
    with pytest.raises(BadInputError, match=r"argon\.mtp knows Kr Ar .*, but LAMMPS' types are Kr Xe, with Xe; name"):
        kernel_forces(folder / "argon.mtp", ["Kr", "Xe"], np.zeros(2, dtype=int), 1)
