"""VASP's numbers in this project's units and signs, against arithmetic by hand, a real run, and broken files."""

from __future__ import annotations

import gzip
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from lipsdb.dft.result import check_single_point
from lipsdb.dft.vasp.inputs import static_inputs
from lipsdb.dft.vasp.level import VaspLevel
from lipsdb.dft.vasp.output import outcar_stresses_kbar, placed, read_vasprun, virials_of_kbar
from lipsdb.dft.vasp.run import run_vasp
from lipsdb.errors import RefusedError


@pytest.fixture
def finished(tmp_path: Path, potcar_folder: Path, stand_in: str, vdw_level: VaspLevel) -> Path:
    """Folder of a finished single point of two atoms of Li and one of S."""
    inputs = static_inputs(vdw_level, [3, 3, 16], [[0, 0, 0], [2.2, 0, 0], [0, 2.2, 0]], 8 * np.eye(3))
    run_vasp(tmp_path / "run", inputs, stand_in, poll_s=0.1)
    return tmp_path / "run"


def test_stress_of_ten_kbar_in_two_hundred_cubic_angstrom_is_a_virial_of_an_eighth_of_an_ev() -> None:
    # 10 kB = 1 GPa = 1e9 N/m²; times 200 Å³ = 2e-28 m³ is 2e-19 J; divided by 1.602176634e-19 J/eV: 1.248301814 eV.
    # VASP's 10 kB push outward (compressed), so that W = −dE/dε is positive and P = tr(W)/(3V) = +1 GPa.
    cell = np.diag([4.0, 5.0, 10.0])
    (virial,) = virials_of_kbar([10 * np.eye(3)], [cell])
    np.testing.assert_allclose(virial, 1.248301814 * np.eye(3), rtol=1e-9, atol=1e-12)
    assert np.trace(virial) / (3 * 200) * 160.2176634 == pytest.approx(1.0)


def test_off_diagonal_stress_is_made_symmetric_and_keeps_its_sign() -> None:
    stress = np.zeros((1, 3, 3))
    stress[0, 0, 1], stress[0, 1, 0] = -3.0, -1.0  # −2 kB: −2 × 1000 / 1602.176634 = −1.248301814 eV
    virial = virials_of_kbar(stress, [10 * np.eye(3)])[0]
    assert virial[0, 1] == virial[1, 0] == pytest.approx(-1.248301814, rel=1e-9)


def test_energy_is_without_entropy_although_the_last_block_repeats_the_free_energy(finished: Path) -> None:
    text = (finished / "vasprun.xml").read_text()
    blocks = re.findall(r'e_fr_energy">\s*(\S+) .*\n.*e_wo_entrp">\s*(\S+) ', text)
    assert len(blocks) == 4  # three iterations and the block of the step
    (free, without), (last_free, last_without) = blocks[-2], blocks[-1]
    assert last_free == last_without  # VASP's misprint
    assert float(without) - float(free) == pytest.approx(3e-5, abs=1e-8)  # 1e-5 eV per atom
    steps = read_vasprun(finished / "vasprun.xml")
    assert steps.energies[0] == pytest.approx(float(last_free) + float(without) - float(free), abs=1e-9)
    assert steps.free_energies[0] == float(last_free)
    assert steps.entropies[0] == pytest.approx(3e-5, abs=1e-8)
    printed = re.search(r"energy  without entropy=\s*(\S+)", (finished / "OUTCAR").read_text())
    assert printed is not None
    assert steps.energies[0] == pytest.approx(float(printed[1]), abs=2e-8)


def test_compressed_file_is_read_as_the_plain_one(finished: Path) -> None:
    with gzip.open(finished / "vasprun.xml.gz", "wb") as file:
        file.write((finished / "vasprun.xml").read_bytes())
    plain, packed = read_vasprun(finished / "vasprun.xml"), read_vasprun(finished / "vasprun.xml.gz")
    np.testing.assert_array_equal(plain.forces, packed.forces)
    assert plain.potcars == packed.potcars
    assert [(p.element, p.titel, p.valence) for p in plain.potcars] == [
        ("Li", "PAW_PBE Li_sv 01Jan2000", 3.0),
        ("S", "PAW_PBE S 01Jan2000", 6.0),
    ]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.999])
def test_file_cut_short_is_refused(share: float, finished: Path) -> None:
    path = finished / "vasprun.xml"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(RefusedError, match=r"vasprun\.xml is no whole vasprun\.xml") as caught:
        read_vasprun(path)
    assert caught.value.gate == "file"


def test_missing_empty_and_other_files_are_refused(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"there is no .*nothing"):
        read_vasprun(tmp_path / "nothing.xml")
    for text in ("", "not XML", "<modeling></modeling>"):
        (tmp_path / "other.xml").write_text(text)
        with pytest.raises(RefusedError, match=r"other\.xml"):
            read_vasprun(tmp_path / "other.xml")


def test_file_without_stress_has_no_virial(finished: Path) -> None:
    path = finished / "vasprun.xml"
    text = re.sub(r'  <varray name="stress" >.*?</varray>\n', "", path.read_text(), flags=re.DOTALL)
    path.write_text(text)
    assert read_vasprun(path).virials is None
    assert read_vasprun(path).single_point().virial is None


def test_outcar_of_another_run_is_refused(finished: Path) -> None:
    outcar = finished / "OUTCAR"
    text = outcar.read_text()
    assert read_vasprun(finished / "vasprun.xml", outcar).n_steps == 1
    outcar.write_text(re.sub(r"in kB +\S+", "in kB   99.00000", text))
    with pytest.raises(RefusedError, match=r"stresses of vasprun\.xml and of .*OUTCAR differ by .* kB"):
        read_vasprun(finished / "vasprun.xml", outcar)
    outcar.write_text(text + text)
    with pytest.raises(RefusedError, match=r"has 2 stresses, vasprun\.xml 1; give files of one run"):
        read_vasprun(finished / "vasprun.xml", outcar)


def test_positions_are_placed_where_they_were_asked_only_if_they_are_the_same(finished: Path) -> None:
    steps = read_vasprun(finished / "vasprun.xml")
    cell = 8 * np.eye(3)
    asked = np.array([[0, 0, 0], [2.2, 0, 8.0], [-8.0, 2.2, 0]])
    np.testing.assert_array_equal(placed(steps, asked, cell).positions[0], asked)
    with pytest.raises(RefusedError, match=r"positions are off by 1\.0e-04 Å"):
        placed(steps, asked + np.array([[0, 0, 0], [0, 1e-4, 0], [0, 0, 0]]), cell)
    with pytest.raises(RefusedError, match=r"cell is off by 1\.0e-03 Å"):
        placed(steps, asked, cell + 1e-3 * np.eye(3))
    with pytest.raises(RefusedError, match="VASP has 3 atoms, 2 were asked for"):
        placed(steps, asked[:2], cell)


@pytest.mark.published
def test_real_relaxation_of_silicon_in_three_steps(published_vasp: Path, tmp_path: Path) -> None:
    xml, outcar = published_vasp / "vasprun.xml.gz", published_vasp / "OUTCAR.gz"
    steps = read_vasprun(xml, outcar)
    assert (steps.version, steps.n_steps, steps.ionic_converged, steps.n_electrons) == ("6.4.1", 3, True, 8.0)
    assert steps.scf_converged.all()
    assert steps.numbers.tolist() == [14, 14]
    assert [(p.element, p.titel, p.valence) for p in steps.potcars] == [("Si", "PAW_PBE Si 05Jan2001", 4.0)]
    # OUTCAR: "energy  without entropy=", "in kB", "volume of cell"
    np.testing.assert_allclose(steps.energies, [-17.54951927, -17.54953832, -17.54958326], atol=1e-9)
    np.testing.assert_allclose(
        outcar_stresses_kbar(outcar), np.array([2.31520, -1.82622, -0.45531])[:, None, None] * np.eye(3), atol=1e-5
    )
    volumes = np.linalg.det(steps.cells)
    np.testing.assert_allclose(volumes, [40.15, 40.32, 40.25], atol=0.005)
    # 2.31520 kB × 40.1518 Å³ / 1602.176634 = 0.0580208 eV: under pressure, and the cell grows in the next step
    assert steps.virials is not None
    np.testing.assert_allclose(steps.virials[0], 0.0580208 * np.eye(3), atol=1e-6)
    assert volumes[1] > volumes[0]
    # the energy falls along the virial: E₁ − E₀ ≈ −⟨W⟩:ε over the step, to the noise of the SCF
    strain = np.linalg.solve(steps.cells[0], steps.cells[1]) - np.eye(3)
    work = -np.sum((steps.virials[0] + steps.virials[1]) / 2 * strain)
    assert steps.energies[1] - steps.energies[0] == pytest.approx(work, abs=2e-5)
    last = steps.single_point()
    check_single_point(last, steps.numbers, steps.positions[-1], steps.cells[-1], {14: 4})
    # an independent reader
    with gzip.open(xml, "rb") as source, (tmp_path / "vasprun.xml").open("wb") as target:
        shutil.copyfileobj(source, target)
    for step, atoms in enumerate(read(tmp_path / "vasprun.xml", ":")):
        np.testing.assert_allclose(steps.forces[step], atoms.get_forces(), atol=1e-8)
        np.testing.assert_allclose(steps.positions[step], atoms.positions, atol=1e-7)
        np.testing.assert_allclose(steps.virials[step], -atoms.get_volume() * atoms.get_stress(voigt=False), atol=2e-6)
