from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from motep.io.mlip.mtp import read_mtp as motep_read
from motep.io.mlip.mtp import write_mtp as motep_write
from motep.potentials.mtp.numpy.engine import NumpyMTPEngine

from lipsdb.errors import BadInputError
from lipsdb.ingest.mlip_cfg import read_mlip_cfg
from lipsdb.potentials.mtp.files import read_mtp, write_cfg, write_mtp
from lipsdb.potentials.mtp.potential import MomentTensorPotential, random_start
from lipsdb.potentials.training_set import LabelledFrames

# Of the templates that MLIP ships, that of level 8: other products, and no elements.
TEMPLATE = """MTP
version = 1.1.0
potential_name = MTP1m
species_count = 2
potential_tag = 
radial_basis_type = RBChebyshev
	min_dist = 1.5
	max_dist = 4
	radial_basis_size = 2
	radial_funcs_count = 2
{radial}alpha_moments_count = 18
alpha_index_basic_count = 11
alpha_index_basic = {{{{0, 0, 0, 0}}, {{0, 1, 0, 0}}, {{0, 0, 1, 0}}, {{0, 0, 0, 1}}, {{0, 2, 0, 0}}, {{0, 1, 1, 0}}, \
{{0, 1, 0, 1}}, {{0, 0, 2, 0}}, {{0, 0, 1, 1}}, {{0, 0, 0, 2}}, {{1, 0, 0, 0}}}}
alpha_index_times_count = 14
alpha_index_times = {{{{0, 0, 1, 11}}, {{1, 1, 1, 12}}, {{2, 2, 1, 12}}, {{3, 3, 1, 12}}, {{4, 4, 1, 13}}, \
{{5, 5, 2, 13}}, {{6, 6, 2, 13}}, {{7, 7, 1, 13}}, {{8, 8, 2, 13}}, {{9, 9, 1, 13}}, {{0, 10, 1, 14}}, \
{{0, 11, 1, 15}}, {{0, 12, 1, 16}}, {{0, 15, 1, 17}}}}
alpha_scalar_moments = 9
alpha_moment_mapping = {{0, 10, 11, 12, 13, 14, 15, 16, 17}}
{rest}"""  # noqa: W291
RADIAL = "\tradial_coeffs\n" + "".join(
    f"\t\t{i}-{j}\n\t\t\t{{0.1, -0.2}}\n\t\t\t{{{0.3 + i}, {0.4 + j}}}\n" for i in range(2) for j in range(2)
)
REST = "species_coeffs = {-1.5, 2.5}\nmoment_coeffs = {1, 2, 3, 4, 5, 6, 7, 8, 9}\n"
TRAINED = TEMPLATE.format(radial=RADIAL, rest=REST)


@pytest.fixture
def potential() -> MomentTensorPotential:
    start = random_start(10, ["Li", "P", "S"], min_distance_A=1.5, cutoff_A=4.0, radial_size=5, seed=4)
    return replace(start, scaling=0.5)


def energy_by_motep(path: Path, numbers: list[int]) -> float:
    data = motep_read(path)
    data.species = numbers
    rng = np.random.default_rng(8)
    atoms = Atoms(rng.choice(numbers, 10), cell=[[6.0, 0.0, 0.0], [1.0, 5.5, 0.0], [0.5, -1.0, 6.5]], pbc=True)
    atoms.set_scaled_positions(rng.random((10, 3)))
    return float(NumpyMTPEngine(data).calculate(atoms)["energy"])


def test_a_potential_written_here_has_in_motep_what_it_has_here(tmp_path, potential):
    write_mtp(tmp_path / "one.mtp", potential)
    data = motep_read(tmp_path / "one.mtp")
    np.testing.assert_allclose(data.parameters, potential.parameters, rtol=1e-15)
    np.testing.assert_array_equal(data.alpha_index_times, potential.basis.products)
    np.testing.assert_array_equal(data.alpha_index_basic, potential.basis.basic)
    np.testing.assert_array_equal(data.alpha_moment_mapping, potential.basis.scalars)
    assert (data.scaling, data.radial_basis.min, data.radial_basis.max) == (0.5, 1.5, 4.0)
    assert data.potential_tag == "Li P S"


def test_written_and_read_again_it_is_the_same(tmp_path, potential):
    write_mtp(tmp_path / "one.mtp", potential)
    again = read_mtp(tmp_path / "one.mtp")
    np.testing.assert_allclose(again.parameters, potential.parameters, rtol=1e-15)
    assert again.basis is potential.basis
    assert (again.elements, again.scaling) == (("Li", "P", "S"), 0.5)
    assert (again.min_distance_A, again.cutoff_A) == (1.5, 4.0)


def test_energies_by_motep_are_those_of_the_same_potential_with_scaled_radial_functions(tmp_path, potential):
    unscaled = replace(potential, scaling=1.0, radial_coefficients=potential.radial_coefficients * 0.5)
    write_mtp(tmp_path / "scaled.mtp", potential)
    write_mtp(tmp_path / "unscaled.mtp", unscaled)
    energies = [energy_by_motep(tmp_path / name, [3, 15, 16]) for name in ("scaled.mtp", "unscaled.mtp")]
    assert abs(energies[0]) > 1.0
    assert energies[0] == pytest.approx(energies[1], rel=1e-12)


@pytest.mark.parametrize("legacy", [True, False])
def test_a_file_of_motep_gives_the_same_energy_after_a_round_through_here(tmp_path, potential, legacy):
    (tmp_path / "mlip.mtp").write_text(TRAINED.replace("MTP1m\n", "MTP1m\nscaling = 0.5\n"))
    motep_write(tmp_path / "motep.mtp", motep_read(tmp_path / "mlip.mtp"), legacy=legacy)
    if not legacy:  # motep leaves out what its reader needs before the coefficients
        text = (tmp_path / "motep.mtp").read_text()
        (tmp_path / "motep.mtp").write_text(text.replace("\tradial_coeffs", "radial_funcs_count = 2\n\tradial_coeffs"))
    read = read_mtp(tmp_path / "motep.mtp", ["Li", "S"])
    assert (read.scaling, read.basis.level, read.basis.n_moments) == (0.5, None, 18)
    write_mtp(tmp_path / "again.mtp", read)
    energies = [energy_by_motep(tmp_path / name, [3, 16]) for name in ("mlip.mtp", "motep.mtp", "again.mtp")]
    assert abs(energies[0]) > 1.0
    np.testing.assert_allclose(energies, energies[0], rtol=0, atol=1e-8)


def test_elements_can_be_given_or_stand_in_the_tag(tmp_path):
    path = tmp_path / "one.mtp"
    path.write_text(TRAINED)
    assert read_mtp(path, ["Li", "S"]).elements == ("Li", "S")
    with pytest.raises(BadInputError, match=r"does not say which elements its 2 types are .* give the elements"):
        read_mtp(path)
    with pytest.raises(BadInputError, match="has 2 types, but the elements are Li, P, S"):
        read_mtp(path, ["Li", "P", "S"])
    path.write_text(TRAINED.replace("potential_tag = ", "potential_tag = Li,S"))
    assert read_mtp(path).elements == read_mtp(path, ["Li", "S"]).elements == ("Li", "S")
    with pytest.raises(BadInputError, match=r"is for Li, S \(its potential_tag\), not for S, Li"):
        read_mtp(path, ["S", "Li"])
    path.write_text(TRAINED.replace("potential_tag = ", "potential_tag = of my thesis"))
    assert read_mtp(path, ["S", "Li"]).elements == ("S", "Li")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("BEGIN_CFG\n", "its first line is not 'MTP'"),
        (TEMPLATE.format(radial="", rest=""), "untrained template .*radial_coeffs, species_coeffs, moment_coeffs"),
        (TEMPLATE.format(radial=RADIAL, rest=""), r"untrained template \(it has no species_coeffs, moment_coeffs\)"),
        (TRAINED.replace("RBChebyshev", "RBChebyshev_repuls"), "radial basis RBChebyshev_repuls; only RBChebyshev"),
        (TRAINED.replace("max_dist = 4", "max_dist = four"), "not an MLIP .mtp file that motep can read: .*four"),
        (TRAINED.replace("max_dist = 4", "max_dist = 1"), "min .* must be < max"),
        (TRAINED.replace("7, 8, 9}\n", "7, 8}\n"), r"moment coefficients have the shape \(8,\)"),
        (TRAINED.replace("{1, 2, 3", "{1, nan, 3"), "moment coefficients are not all finite"),
        (TRAINED.replace("times_count = 14", "times_count = 15"), "alpha_index_times_count is 15, but there are 14"),
        (TRAINED.replace("{0, 15, 1, 17}", "{0, 18, 1, 17}"), "not there, or not yet complete"),
        (TRAINED.replace("{0, 15, 1, 17}", "{0, 17, 1, 15}"), "not there, or not yet complete"),
        (TRAINED.replace("{1, 0, 0, 0}", "{2, 0, 0, 0}"), "not there, or not yet complete"),
        (TRAINED.replace("16, 17}\nsp", "16, 18}\nsp"), "not there, or not yet complete"),
        (
            TRAINED.replace("\tradial_c", "magnetic_basis_type = B\n\tmin = 0\n\tmax = 2\n\tsize = 1\n\tradial_c"),
            "magnetic",
        ),
    ],
)
def test_other_files_are_refused_with_the_reason(tmp_path, text, message):
    (tmp_path / "bad.mtp").write_text(text)
    with pytest.raises(BadInputError, match=rf"^bad\.mtp.*{message}"):
        read_mtp(tmp_path / "bad.mtp", ["Li", "S"])


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(BadInputError, match="there is no file"):
        read_mtp(tmp_path / "none.mtp")


def labelled(numbers: list[int], n_frames: int, seed: int) -> LabelledFrames:
    rng = np.random.default_rng(seed)
    n = len(numbers)
    virials = rng.normal(size=(n_frames, 3, 3))
    return LabelledFrames(
        numbers=np.array(numbers),
        positions=rng.uniform(0, 8, (n_frames, n, 3)),
        cells=np.tile([[8.0, 0.0, 0.0], [1.0, 8.0, 0.0], [0.0, -1.0, 9.0]], (n_frames, 1, 1)),
        energies=rng.normal(size=n_frames),
        forces=rng.normal(size=(n_frames, n, 3)),
        virials=virials + virials.swapaxes(1, 2),
    )


def test_labels_of_all_systems_stand_in_one_cfg_with_the_types_of_the_potential(tmp_path):
    systems = {"glass": labelled([16, 3, 3], 2, 1), "crystal": labelled([3, 15, 16, 16], 1, 2)}
    write_cfg(tmp_path / "labels.cfg", systems, ["S", "Li", "P"])
    assert "  1    0  " in (tmp_path / "labels.cfg").read_text()  # the first atom, sulphur
    read = read_mlip_cfg(tmp_path / "labels.cfg")
    assert not read.faults
    for found, expected in zip(read.frames, systems.values(), strict=True):
        np.testing.assert_array_equal(found.numbers, expected.numbers)
        np.testing.assert_allclose(found.energies, expected.energies, atol=1e-11)
        np.testing.assert_allclose(found.positions, expected.positions, atol=6e-7)
        np.testing.assert_allclose(found.cells, expected.cells, atol=6e-7)
        np.testing.assert_allclose(found.forces, expected.forces, atol=6e-7)
        np.testing.assert_allclose(found.virials, expected.virials, atol=6e-6)


def test_an_element_that_the_potential_does_not_know_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="system 'glass' has P, but the potential knows Li S: leave it out"):
        write_cfg(tmp_path / "labels.cfg", {"glass": labelled([3, 15, 16], 1, 1)}, ["Li", "S"])
