"""Real outputs of CP2K become labels: finite differences, dynamics against the single point, no convergence refused."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lipsdb.errors import BadInputError
from lipsdb.ingest.cp2k import CP2K, HARTREE_IN_EV, cell_of_output, read_cp2k
from lipsdb.ingest.frames import Frames
from lipsdb.ingest.labels import ingest_labels
from lipsdb.store.database import Database

CELL = np.array([[4.0, 0.0, 0.0], [0.3, 4.2, 0.0], [0.0, 0.2, 4.4]])
FRACTIONAL = np.array([[0.0212345, 0.05, 0.07], [0.17, 0.0712345, 0.09]])  # positions of more than six digits
INPUT = """
&GLOBAL
  PROJECT {name}
  RUN_TYPE {run}
  PRINT_LEVEL MEDIUM
&END GLOBAL
{motion}
&FORCE_EVAL
  METHOD Quickstep
  STRESS_TENSOR ANALYTICAL
  &PRINT
    &FORCES ON
    &END FORCES
    &STRESS_TENSOR ON
    &END STRESS_TENSOR
  &END PRINT
  &DFT
    BASIS_SET_FILE_NAME BASIS_MOLOPT
    POTENTIAL_FILE_NAME GTH_POTENTIALS
    &MGRID
      CUTOFF {cutoff}
    &END MGRID
    &SCF
      EPS_SCF 1e-7
      MAX_SCF {steps}
    &END SCF
    &XC
      &XC_FUNCTIONAL PADE
      &END XC_FUNCTIONAL
    &END XC
  &END DFT
  &SUBSYS
    &CELL
{cell}
    &END CELL
    &COORD
{atoms}
    &END COORD
    &KIND H
      BASIS_SET SZV-MOLOPT-SR-GTH
      POTENTIAL GTH-PADE-q1
    &END KIND
  &END SUBSYS
&END FORCE_EVAL
"""
MOTION = """
&MOTION
  &MD
    ENSEMBLE NVE
    STEPS 2
    TIMESTEP 0.5
    TEMPERATURE 300
  &END MD
  &PRINT
    &FORCES
    &END FORCES
    &STRESS
    &END STRESS
  &END PRINT
&END MOTION
"""


def run_cp2k(
    folder: Path, name: str, cell: np.ndarray = CELL, *, run: str = "ENERGY_FORCE", motion: str = "", steps: int = 30
) -> Path:
    """Run CP2K on H2 in a small cell; two seconds."""
    assert shutil.which("cp2k.psmp"), "cp2k.psmp is not on PATH; install CP2K (Debian: cp2k)"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"      {axis} {x:.12f} {y:.12f} {z:.12f}" for axis, (x, y, z) in zip("ABC", cell, strict=True)]
    atoms = [f"      H {x:.12f} {y:.12f} {z:.12f}" for x, y, z in FRACTIONAL @ cell]
    text = INPUT.format(
        name=name, run=run, motion=motion, steps=steps, cutoff=150, cell="\n".join(rows), atoms="\n".join(atoms)
    )
    (folder / f"{name}.inp").write_text(text)
    mpirun = ["mpirun.openmpi", "--allow-run-as-root", "--oversubscribe", "-np", "1", "-x", "OMP_NUM_THREADS=1"]
    command = [*mpirun, "cp2k.psmp", "-i", f"{name}.inp", "-o", f"{name}.out"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    return folder / f"{name}.out"


def the_frames(path: Path) -> Frames:
    (frames,) = read_cp2k(path).frames
    return frames


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single point, dynamics from the same configuration, and a single point without convergence, in one folder."""
    folder = tmp_path_factory.mktemp("cp2k")
    run_cp2k(folder, "point")
    run_cp2k(folder, "hot", run="MD", motion=MOTION)
    run_cp2k(folder, "short", steps=2)
    return folder


def test_single_point_has_the_numbers_that_its_output_prints(runs: Path) -> None:
    frames = the_frames(runs / "point.out")
    text = (runs / "point.out").read_text()
    energy = float(text.split("ENERGY| Total FORCE_EVAL")[1].split("\n")[0].split()[-1])
    assert frames.energies.tolist() == [pytest.approx(energy * HARTREE_IN_EV, rel=1e-8)]
    forces = [line.split()[3:] for line in text.split("ATOMIC FORCES")[1].splitlines()[3:5]]
    np.testing.assert_allclose(frames.forces[0], np.array(forces, dtype=float) * 51.42206747632590, rtol=1e-9)
    np.testing.assert_allclose(frames.positions[0], FRACTIONAL @ CELL, atol=1e-6)
    np.testing.assert_array_equal(frames.cells[0], CELL)
    assert frames.converged.tolist() == [True]


def test_virial_is_minus_the_derivative_of_the_energy_by_strain(runs: Path, tmp_path: Path) -> None:
    """Positive where the compressed bond (along x, mostly) pushes outward."""
    h = 5e-3
    energies = []
    for name, strain in (("less", -h), ("more", h)):
        path = run_cp2k(tmp_path, name, CELL @ np.diag([1 + strain, 1, 1]))
        energies.append(the_frames(path).energies[0])
    virial = the_frames(runs / "point.out").virials[0]
    expected = -(energies[1] - energies[0]) / (2 * h)
    assert virial[0, 0] > 1
    # the grid follows the cell in steps, which is worth some per cent at this cutoff
    assert virial[0, 0] == pytest.approx(expected, rel=0.05)
    np.testing.assert_allclose(virial, virial.T, atol=1e-9)


def test_dynamics_begin_with_the_single_point_without_kinetic_energy_in_the_virial(runs: Path) -> None:
    point, md = the_frames(runs / "point.out"), the_frames(runs / "hot.out")
    assert md.indices.tolist() == [0, 1, 2]
    np.testing.assert_allclose(md.energies[0], point.energies[0], rtol=1e-9)
    np.testing.assert_allclose(md.forces[0], point.forces[0], atol=1e-5)
    np.testing.assert_allclose(md.virials[0], point.virials[0], atol=1e-6)
    printed_bar = np.loadtxt(runs / "hot-1.stress")[0, 2:].reshape(3, 3)
    with_kinetic = printed_bar * 1e-4 / 160.2176634 * np.linalg.det(CELL)
    kinetic_eV = np.loadtxt(runs / "hot-1.ener")[0, 2] * HARTREE_IN_EV
    assert np.trace(with_kinetic - md.virials[0]) == pytest.approx(2 * kinetic_eV, rel=1e-3)
    assert md.converged.all()
    assert len(set(md.energies.tolist())) == 3


def test_single_point_is_refused_without_convergence_and_the_rest_goes_in(database: Database, runs: Path) -> None:
    for n_new in (4, 0):
        summary = ingest_labels(database, CP2K, runs, "PADE", source="made up", system="H2")
        taken = {part.folder: part.n_frames for part in summary.folders}
        assert taken == {"hot.out": 3, "point.out": 1, "short.out": 0}
        assert (summary.n_new, summary.n_refused_frames) == (n_new, 1)
    (refusal,) = database.query("refusals")
    assert (refusal["asked"]["folder"], refusal["answer"]["gate"]) == ("short.out", "scf")
    trajectory = {label["origin"]["folder"]: label["origin"]["trajectory"] for label in database.query("labels")}
    assert trajectory == {"hot.out": True, "point.out": False}


LEVEL = """
name: {name}
code: cp2k
how_known: stated
settings:
  functional: PADE
  dispersion: null
  cutoff_Ry: 150.0
  rel_cutoff_Ry: 40.0
  ngrids: 4
  kinds:
    H: {{basis: SZV-MOLOPT-SR-GTH, basis_sha256: {sha256}, potential: GTH-PADE-q1, potential_sha256: {sha256},
         valence: 1}}
"""


@pytest.mark.parametrize(
    ("old", "new", "gate", "reason"),
    [
        ("", "", None, ""),
        ("cutoff_Ry: 150", "cutoff_Ry: 160", "level", "CUTOFF = 150 Ry, the level of theory has 160 Ry"),
        ("rel_cutoff_Ry: 40", "rel_cutoff_Ry: 50", "level", "REL_CUTOFF = 40 Ry, the level of theory has 50 Ry"),
        ("ngrids: 4", "ngrids: 5", "level", "NGRIDS = 4, the level of theory has 5"),
        ("functional: PADE", "functional: PBE", "level", "XC_FUNCTIONAL = PADE, the level of theory has PBE"),
        ("dispersion: null", "dispersion: D3", "level", "VDW_POTENTIAL = none, the level of theory has D3"),
        ("SZV-", "DZVP-", "level", "BASIS_SET of H = SZV-MOLOPT-SR-GTH, the level of theory has DZVP-MOLOPT-SR-GTH"),
        ("GTH-PADE-q1", "GTH-PBE-q1", "valence", "POTENTIAL of H = GTH-PADE-q1, the level of theory has GTH-PBE-q1"),
        ("valence: 1", "valence: 3", "valence", "Number of electrons = 2, the level of theory has 6"),
        ("H: ", "He: ", "level", "the element H, the level of theory has He"),
    ],
)
def test_real_outputs_are_compared_with_a_level_file(
    old: str, new: str, gate: str | None, reason: str, database: Database, runs: Path, tmp_path: Path
) -> None:
    text = LEVEL.format(name="hydrogen", sha256="a" * 64)
    (tmp_path / "level.yaml").write_text(re.sub(rf"(?<!\w){re.escape(old)}", new, text) if old else text)
    level = str(tmp_path / "level.yaml")
    summary = ingest_labels(database, CP2K, runs, level, source="made up", system="H2")
    refusals = [one["answer"] for one in database.query("refusals")]
    if gate is None:
        assert (summary.n_new, [one["gate"] for one in refusals]) == (4, ["scf"])
        return
    assert (summary.n_new, len(refusals)) == (0, 3)
    assert {one["gate"] for one in refusals} == {gate}
    assert all(one["reason"].startswith(f"CP2K used {reason} (hydrogen); ") for one in refusals)


def test_output_of_cp2k_at_a_level_of_vasp_is_refused(database: Database, runs: Path) -> None:
    ingest_labels(database, CP2K, runs / "point.out", "grain-boundaries", source="made up", system="H2")
    (refusal,) = database.query("refusals")
    assert refusal["answer"]["gate"] == "level"
    assert "the file is of cp2k, the level of theory grain-boundaries of vasp" in refusal["answer"]["reason"]


def test_an_unconverged_step_of_dynamics_is_told_by_its_place(runs: Path, tmp_path: Path) -> None:
    for path in runs.glob("hot*"):
        shutil.copy(path, tmp_path)
    text = (tmp_path / "hot.out").read_text()
    at = [i for i in range(len(text)) if text.startswith("*** SCF run converged", i)][1]
    (tmp_path / "hot.out").write_text(text[:at] + "*** WARNING: SCF run NOT converged" + text[at + 21 :])
    assert the_frames(tmp_path / "hot.out").converged.tolist() == [True, False, True]


def test_dynamics_lacking_a_file_are_bad_input(runs: Path, tmp_path: Path) -> None:
    for name in ("hot.out", "hot-pos-1.xyz"):
        shutil.copy(runs / name, tmp_path)
    with pytest.raises(BadInputError, match=r"hot-frc-1\.xyz is missing beside the output"):
        read_cp2k(tmp_path / "hot.out")
    (tmp_path / "hot.out").unlink()
    (found,) = CP2K.find(tmp_path)
    with pytest.raises(BadInputError, match=r"there is no output of CP2K \(\*\.out, \*\.log\) beside hot-pos-1\.xyz"):
        read_cp2k(found)


def test_a_step_that_the_output_does_not_have_is_at_fault(runs: Path, tmp_path: Path) -> None:
    for path in runs.glob("hot*"):
        shutil.copy(path, tmp_path)
    text = (tmp_path / "hot.out").read_text()
    last = text.rindex("ENERGY| Total")
    (tmp_path / "hot.out").write_text(text[:last])
    reading = read_cp2k(tmp_path / "hot.out")
    assert [frames.indices.tolist() for frames in reading.frames] == [[0, 1]]
    (fault,) = reading.faults
    assert (fault.frame, fault.gate) == (2, "file")
    assert re.match(r"frame 2: the output has no energy of -\d\.\d{10} Hartree, which step 2 has", fault.reason)


@pytest.mark.parametrize("angles", [(90, 90, 90), (80, 95, 100)])
def test_cell_is_as_sharp_as_lengths_and_angles_are_printed(angles: tuple[int, ...]) -> None:
    from ase.geometry import cellpar_to_cell

    cell = cellpar_to_cell([12.819234, 8.219512, 6.123678, *angles])
    lines = [
        f" CELL| Vector {name} [angstrom]: {v[0]:10.3f}{v[1]:10.3f}{v[2]:10.3f}   |{name}| = {np.linalg.norm(v):12.6f}"
        for name, v in zip("abc", cell, strict=True)
    ]
    pairs = (("(b,c), alpha", "(a,c), beta ", "(a,b), gamma"), angles)
    lines += [f" CELL| Angle {pair} [degree]: {angle:20.6f}" for pair, angle in zip(*pairs, strict=True)]
    np.testing.assert_allclose(cell_of_output("\n".join(lines)), cell, atol=1e-6)
