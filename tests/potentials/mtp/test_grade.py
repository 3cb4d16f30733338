"""The extrapolation grade against its definition, against motep, and on cases with a known answer."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers
from motep.grade.grader import Grader
from motep.grade.maxvol import MaxVolResult
from motep.grade.setting import GradeMode
from motep.potentials.mtp.data import MTPData

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp import active_set as active_sets
from lipsdb.potentials.mtp.active_set import ActiveSet, select_active
from lipsdb.potentials.mtp.grade import active_set, jacobian
from lipsdb.potentials.mtp.potential import MomentTensorPotential, random_start
from lipsdb.potentials.training_set import LabelledFrames

SALT = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
SODIUM = bulk("Na", "bcc", a=4.2, cubic=True) * (1, 1, 2)
CHLORINE = bulk("Cl", "fcc", a=5.6, cubic=True)
LOW = random_start(4, ["Na", "Cl"], min_distance_A=1.8, cutoff_A=4.5, radial_size=4, seed=1)
HIGH = random_start(8, ["Na", "Cl"], min_distance_A=1.8, cutoff_A=4.5, radial_size=4, seed=1)


def shaken(atoms: Atoms, n_frames: int, amplitude_A: float, seed: int) -> LabelledFrames:
    rng = np.random.default_rng(seed)
    strain = np.eye(3) + rng.normal(0, 0.02 * (amplitude_A > 0), (n_frames, 3, 3))
    shape = (n_frames, len(atoms), 3)
    return LabelledFrames(
        numbers=atoms.numbers,
        positions=(atoms.positions + rng.normal(0, amplitude_A, shape)) @ strain,
        cells=atoms.cell.array @ strain,
        energies=np.zeros(n_frames),
        forces=np.zeros(shape),
    )


def graded(potential: MomentTensorPotential, active: ActiveSet, frames: LabelledFrames) -> np.ndarray:
    """The largest grade of each frame."""
    return np.array([active.grades(active.rows(rows)).max() for rows in rows_of(potential, frames)])


def rows_of(potential: MomentTensorPotential, frames: LabelledFrames) -> list[np.ndarray]:
    return [jacobian(potential, frames.numbers, *one) for one in zip(frames.positions, frames.cells, strict=True)]


def images(frames: LabelledFrames) -> list[Atoms]:
    both = zip(frames.positions, frames.cells, strict=True)
    return [Atoms(frames.numbers, positions=places, cell=cell, pbc=True) for places, cell in both]


def of_motep(potential: MomentTensorPotential) -> MTPData:
    basis = potential.basis
    radial = {"min": potential.min_distance_A, "max": potential.cutoff_A, "size": potential.radial_size}
    data = MTPData(
        scaling=potential.scaling, species_count=len(potential.elements),
        radial_basis={"type": "RBChebyshev", **radial}, radial_funcs_count=basis.n_radial,
        radial_coeffs=potential.radial_coefficients.copy(),
        alpha_moments_count=basis.n_moments, alpha_index_basic_count=len(basis.basic), alpha_index_basic=basis.basic,
        alpha_index_times_count=len(basis.products), alpha_index_times=basis.products,
        alpha_scalar_moments=basis.n_scalars, alpha_moment_mapping=basis.scalars,
        species_coeffs=potential.species_coefficients.copy(), moment_coeffs=potential.moment_coefficients.copy(),
    )  # fmt: skip
    data.species = [atomic_numbers[element] for element in potential.elements]
    return data


@pytest.fixture(scope="module")
def training() -> dict[str, LabelledFrames]:
    return {"salt": shaken(SALT, 40, 0.15, 1), "sodium": shaken(SODIUM, 5, 0.15, 2)}


@pytest.fixture(scope="module")
def active(training: dict[str, LabelledFrames]) -> ActiveSet:
    return active_set(HIGH, training)


def test_training_data_grade_at_most_one_and_hotter_frames_more(training, active):
    within = np.concatenate([graded(HIGH, active, frames) for frames in training.values()])
    assert within.max() <= 1.001
    like_it, hotter, hot = (graded(HIGH, active, shaken(SALT, 20, amplitude, 3)) for amplitude in (0.15, 0.3, 0.5))
    assert np.median(like_it) < np.median(hotter) < np.median(hot)
    assert np.median(like_it) < 1.5
    assert np.median(hot) > 5


@pytest.mark.parametrize("mode", ["neighbourhood", "configuration"])
def test_pair_of_elements_that_was_never_seen_grades_as_far_away(mode):
    apart = {"sodium": shaken(SODIUM, 30, 0.15, 1), "chlorine": shaken(CHLORINE, 30, 0.15, 2)}
    active = active_set(HIGH, apart, mode)
    assert max(graded(HIGH, active, frames).max() for frames in apart.values()) <= 1.001
    assert np.median(graded(HIGH, active, shaken(CHLORINE, 10, 0.15, 3))) < 10
    assert graded(HIGH, active, shaken(SALT, 10, 0.15, 4)).min() > 1000


@pytest.mark.parametrize("mode", ["neighbourhood", "configuration"])
def test_directions_that_no_training_atom_has_are_not_lost(mode):
    # parameter 4 is redundant, parameter 5 acts on nothing that was seen
    atoms = np.random.default_rng(1).normal(size=(50, 4, 6))
    atoms[..., 4] = 2 * atoms[..., 0] - atoms[..., 1]
    atoms[..., 5] = 0
    active, _ = select_active(lambda: atoms, mode)
    assert active.rank == 4
    known = active.rows(atoms[7])
    assert active.grades(known).max() <= 1.001
    assert active.grades(known + 0.01 * np.eye(6)[5]).min() > 100
    assert active.grades(known + 0.01 * np.eye(6)[4]).min() > 100
    assert active.grades(known + 0.01 * (np.eye(6)[0] + 2 * np.eye(6)[4])).max() < 1.1


def test_directions_that_atoms_have_but_no_frame_has_are_not_lost():
    # in every frame the two atoms' parameter 2 cancels, as numbers of atoms do where all frames have one composition
    atoms = np.random.default_rng(1).normal(size=(50, 2, 3))
    atoms[:, 1, 2] = -atoms[:, 0, 2]
    active, _ = select_active(lambda: atoms, "configuration")
    assert active.rank == 2
    frame = active.rows(atoms[7])
    # measured by the distance of one active frame from the other: of the order of 1, not of a million
    assert 2 < active.grades(frame + np.array([0, 0, 10]))[0] < 20


def test_one_strange_atom_is_found():
    frames = {"salt": shaken(SALT, 40, 0.1, 1)}
    active = active_set(HIGH, frames)
    strange = shaken(SALT, 1, 0.1, 2)
    strange.positions[0, 5] += [0.6, 0.5, 0.3]
    (rows,) = rows_of(HIGH, strange)
    grades = active.grades(rows)
    assert grades[5] > 5 * np.delete(grades, 5).min()
    assert grades.max() > 10


def test_an_active_row_replaced_by_one_of_grade_g_multiplies_the_volume_by_g(training, active):
    rows = {name: rows_of(HIGH, frames) for name, frames in training.items()}
    chosen = np.array(
        [rows[name][frame][atom] for name, frame, atom in zip(active.systems, active.frames, active.atoms, strict=True)]
    )
    every = np.concatenate([row for frames in rows.values() for row in frames])
    scale = np.sqrt(np.square(every).mean(axis=0))
    basis = np.linalg.svd(every / scale)[2][: active.rank].T
    submatrix = chosen / scale @ basis
    strange = rows_of(HIGH, shaken(SALT, 1, 0.4, 5))[0]
    for row, grade in zip(strange / scale @ basis, np.abs(strange @ active.matrix).max(axis=1), strict=True):
        volumes = []
        for replaced in range(active.rank):
            other = submatrix.copy()
            other[replaced] = row
            volumes.append(np.linalg.slogdet(other)[1])
        assert np.exp(max(volumes) - np.linalg.slogdet(submatrix)[1]) == pytest.approx(grade, rel=1e-5)


@pytest.mark.parametrize(("potential", "mode"), [(HIGH, "neighbourhood"), (LOW, "configuration")])
def test_motep_gives_the_same_grades_with_the_same_active_rows(training, potential, mode):
    active = active_set(potential, training, mode)
    rows = {name: rows_of(potential, frames) for name, frames in training.items()}
    named = zip(active.systems, active.frames, active.atoms, strict=True)
    raw = [rows[name][at][atom] if atom >= 0 else rows[name][at].sum(axis=0) for name, at, atom in named]
    grader = Grader(of_motep(potential), seed=1, mode=GradeMode(mode.replace("our", "or")))
    grader.maxvol_result = MaxVolResult(submatrix=np.array(raw))
    for frames in (training["salt"], shaken(SALT, 10, 0.3, 6)):
        expected = [atoms.calc.results["MV_grade"] for atoms in grader.grade(images(frames))]
        np.testing.assert_allclose(graded(potential, active, frames), expected, rtol=1e-4)


def test_motep_chooses_the_same_where_only_one_choice_is_right():
    # one element, level 2, moments and species only: the extreme atoms along one axis
    potential = random_start(2, ["Na"], min_distance_A=1.8, cutoff_A=4.5, radial_size=4, seed=1)
    frames = shaken(SODIUM, 10, 0.2, 1)
    data = of_motep(potential)
    data.optimized = ["moment_coeffs", "species_coeffs"]
    grader = Grader(data, seed=1, mode=GradeMode.NEIGHBORHOOD)
    grader.update(images(frames))
    active, rows = select_active(lambda: [row[:, :2] for row in rows_of(potential, frames)], "neighbourhood")
    assert rows.tolist() == grader.maxvol_result.indices.tolist()
    others = shaken(SODIUM, 5, 0.4, 2)
    expected = [atoms.calc.results["MV_grade"] for atoms in grader.grade(images(others))]
    grades = [active.grades(row[:, :2]).max() for row in rows_of(potential, others)]
    np.testing.assert_allclose(grades, expected, rtol=1e-8)


def test_redundant_parameters_are_left_out_and_units_do_not_matter(training, active):
    # radial functions of μ = 0, 1 … can each be scaled against the moments
    assert active.rank <= HIGH.n_parameters - HIGH.basis.n_radial
    rows = [row for frames in training.values() for row in rows_of(HIGH, frames)]
    units = 10.0 ** np.random.default_rng(1).uniform(-4, 4, HIGH.n_parameters)
    other, _ = select_active(lambda: [row * units for row in rows], "neighbourhood")
    assert other.rank == active.rank
    strange = rows_of(HIGH, shaken(SALT, 3, 0.4, 5))
    for row in strange:
        np.testing.assert_allclose(other.grades(row * units), active.grades(row), rtol=0.5)


def test_blocks_give_what_all_at_once_gives(training, active, monkeypatch):
    monkeypatch.setattr(active_sets, "_BLOCK_ROWS", 24)
    passes = 0

    def jacobians():
        nonlocal passes
        passes += 1
        return (row for frames in training.values() for row in rows_of(HIGH, frames))

    other, _ = select_active(jacobians, "neighbourhood")
    assert passes > 2
    np.testing.assert_allclose(other.singular_values, active.singular_values, rtol=1e-6)
    assert max(other.grades(row).max() for row in jacobians()) <= 1.001
    # there are many submatrices that no exchange of one row enlarges; their grades are alike, not the same
    hot = np.concatenate(rows_of(HIGH, shaken(SALT, 20, 0.4, 3)))
    assert np.corrcoef(np.log(other.grades(hot)), np.log(active.grades(hot)))[0, 1] > 0.95


def test_fewer_frames_than_parameters_are_enough_in_configuration_mode():
    frames = {"salt": shaken(SALT, 15, 0.1, 1)}
    active = active_set(HIGH, frames, "configuration")
    assert active.rank == 15 < HIGH.n_parameters
    assert sorted(active.frames) == list(range(15))
    assert graded(HIGH, active, frames["salt"]) == pytest.approx(np.ones(15))
    like_it, hot = (graded(HIGH, active, shaken(SALT, 15, amplitude, 2)) for amplitude in (0.1, 0.4))
    assert np.median(like_it) < 5 < np.median(hot)


def test_other_composition_is_seen_in_configuration_mode():
    frames = {"salt": shaken(SALT, 60, 0.1, 1)}
    active = active_set(LOW, frames, "configuration")
    exchanged = SALT.copy()
    exchanged.numbers[exchanged.numbers == 17] = 11
    assert (
        graded(LOW, active, shaken(exchanged, 5, 0.1, 2)).min()
        > 50 * graded(LOW, active, shaken(SALT, 5, 0.1, 3)).max()
    )


def test_saved_and_loaded_it_grades_the_same(active, tmp_path: Path):
    active.save(tmp_path / "active-set.npz")
    again = ActiveSet.load(tmp_path / "active-set.npz")
    hot = shaken(SALT, 3, 0.3, 1)
    np.testing.assert_array_equal(graded(HIGH, again, hot), graded(HIGH, active, hot))
    assert (again.mode, again.rank, again.n_rows) == (active.mode, active.rank, active.n_rows)
    assert again.systems.tolist() == active.systems.tolist()
    # the same bytes at another time: no entry has a time of its own
    with zipfile.ZipFile(tmp_path / "active-set.npz") as file:
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_threads_change_no_bit_and_every_frame_is_told(training, active, tmp_path: Path):
    told = []
    again = active_set(HIGH, training, threads=3, on_frame=lambda: told.append(1))
    for name, path in ((active, tmp_path / "one.npz"), (again, tmp_path / "three.npz")):
        name.save(path)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "three.npz").read_bytes()
    assert len(told) % 45 == 0
    assert len(told) >= 3 * 45


def test_each_active_row_is_named(training, active):
    assert set(active.systems) == {"salt", "sodium"}
    for name, frame, atom in zip(active.systems, active.frames, active.atoms, strict=True):
        row = jacobian(HIGH, training[name].numbers, training[name].positions[frame], training[name].cells[frame])[atom]
        assert active.grades([row])[0] == pytest.approx(1, abs=1e-6)


def test_bad_input_is_told(training, active, tmp_path: Path):
    with pytest.raises(BadInputError, match="the frame has K, but the potential knows Na Cl: leave it out"):
        jacobian(HIGH, [19] * 8, SALT.positions, SALT.cell.array)
    on_top = shaken(SALT, 3, 0.1, 1)
    on_top.positions[2, 5] = on_top.positions[2, 4]
    with pytest.raises(BadInputError, match=r"frame 2 of 'double' .*: atoms are on top of each other; leave it out"):
        active_set(HIGH, training | {"double": on_top})
    with pytest.raises(
        BadInputError, match=r"active set is of a potential with .* give the potential that it was made"
    ):
        graded(LOW, active, training["salt"])
    with pytest.raises(BadInputError, match="no frame to choose an active set from"):
        active_set(HIGH, {})
    with pytest.raises(BadInputError, match="mode 'atoms' of the grade is not known; use 'neighbourhood'"):
        active_set(HIGH, training, "atoms")  # type: ignore[arg-type]
    (tmp_path / "text.npz").write_text("text")
    for name in ("text.npz", "none.npz"):
        with pytest.raises(BadInputError, match=f"{name} is no active set .* give an active-set.npz"):
            ActiveSet.load(tmp_path / name)
