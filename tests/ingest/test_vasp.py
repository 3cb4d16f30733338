"""VASP's output becomes labels: energies without entropy, the virial's sign, convergence step by step."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import ase.units
import numpy as np
import pytest

from lipsdb.dft.levels_of_theory import find_level
from lipsdb.errors import RefusedError
from lipsdb.ingest.labels import ingest_labels
from lipsdb.ingest.vasp import VASP, read_vasp
from lipsdb.store.database import Database

# read before the fixtures clear the environment of LIPSDB_*
PUBLISHED_LABELS = os.environ.get("LIPSDB_PUBLISHED_LABELS")

HEAD = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <generator><i name="program" type="string">vasp </i><i name="version" type="string">6.4.1  </i></generator>
 <incar>
  <i type="int" name="NELM">{nelm}</i>
  <i type="int" name="ISIF">{isif}</i>
  <i name="PSTRESS">{pstress}</i>
 </incar>
 <kpoints>
  <generation param="Gamma"><v type="int" name="divisions">1 1 1</v><v name="usershift">0.0 0.0 0.0</v></generation>
  <varray name="kpointlist"><v>0.0 0.0 0.0</v></varray><varray name="weights"><v>1.0</v></varray>
 </kpoints>
 <parameters>
  <i type="int" name="NELM">{nelm}</i><i type="int" name="ISIF">{isif}</i><i type="int" name="NSW">5</i>
  <i type="int" name="IBRION">2</i><i name="NELECT">7.0</i><i name="PSTRESS">{pstress}</i>
 </parameters>
 <atominfo>
  <atoms>2</atoms><types>2</types>
  <array name="atoms"><field type="string">element</field><field type="int">atomtype</field>
   <set><rc><c>Li</c><c>1</c></rc><rc><c>S </c><c>2</c></rc></set></array>
  <array name="atomtypes"><field type="int">atomspertype</field><field type="string">element</field><field>mass</field>
   <field>valence</field><field type="string">pseudopotential</field>
   <set><rc><c>1</c><c>Li</c><c>6.94</c><c>1.0</c><c>PAW_PBE Li 17Jan2003</c></rc>
   <rc><c>1</c><c>S </c><c>32.06</c><c>6.0</c><c>PAW_PBE S 06Sep2000</c></rc></set></array>
 </atominfo>
 {initial}
"""
STRUCTURE = """<structure{name}><crystal><varray name="basis">
  <v>4.0 0.0 0.0</v><v>0.0 4.0 0.0</v><v>0.0 0.0 4.0</v></varray>
 </crystal><varray name="positions"><v>0.0 0.0 0.0</v><v>0.5 0.5 {z}</v></varray></structure>
"""
# free energy −10.5, without entropy −10.25; the step's own e_wo_entrp is misprinted, as some versions do
STEP = """<calculation>{scsteps}
 {structure}
 <varray name="forces"><v>0.1 0.0 0.0</v><v>-0.1 0.0 0.0</v></varray>
 {stress}
 <energy><i name="e_fr_energy">-10.5</i><i name="e_wo_entrp">-10.5</i><i name="e_0_energy">0.125</i></energy>
</calculation>
"""
SCSTEP = """<scstep><energy><i name="e_fr_energy">-10.5</i><i name="e_wo_entrp">-10.25</i>
 <i name="e_0_energy">-10.375</i>
 </energy></scstep>
"""
STRESS = '<varray name="stress"><v>16.02176634 1.0 0.0</v><v>1.0 -32.04353268 0.0</v><v>0.0 0.0 0.0</v></varray>'


def write_vasprun(
    path: Path, n_electronic: Sequence[int] = (5,), *, stress: str = STRESS, isif: int = 3, pstress: float = 0.0
) -> Path:
    """A run of Li and S in a cube of 4 Å with so many electronic steps in each ionic one; NELM is 10."""
    initial = STRUCTURE.format(name=' name="initialpos"', z=0.5)
    final = STRUCTURE.format(name=' name="finalpos"', z=0.5)
    steps = "".join(
        STEP.format(scsteps=SCSTEP * n, structure=STRUCTURE.format(name="", z=0.5 + 0.01 * place), stress=stress)
        for place, n in enumerate(n_electronic)
    )
    text = HEAD.format(nelm=10, isif=isif, pstress=pstress, initial=initial) + steps + final + "</modeling>\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["vasprun.xml", "vasprun.xml.gz"])
def test_energy_without_entropy_and_virial_worked_out_by_hand(name: str, tmp_path: Path) -> None:
    (frames,) = read_vasp(write_vasprun(tmp_path / name)).frames
    assert frames.energies.tolist() == [-10.25]
    # 64 Å³ × 16.02176634 kB = 64 Å³ × 0.01 eV/Å³: VASP's stress is a pressure, and so is W/V
    np.testing.assert_allclose(
        frames.virials[0], np.array([[0.64, 64 / 1602.176634, 0], [64 / 1602.176634, -1.28, 0], [0] * 3])
    )
    np.testing.assert_array_equal(frames.numbers, [3, 16])
    np.testing.assert_allclose(frames.positions[0], [[0, 0, 0], [2, 2, 2]])
    np.testing.assert_allclose(frames.forces[0], [[0.1, 0, 0], [-0.1, 0, 0]])


OUTCAR = """ vasp.6.4.1 05Apr23 complex
 POTCAR:    PAW_PBE Li 17Jan2003
 POTCAR:    PAW_PBE S 06Sep2000
 POTCAR:    PAW_PBE Li 17Jan2003
 POTCAR:    PAW_PBE S 06Sep2000
   ISIF   =      3    stress and relaxation
   PSTRESS=    0.0 pullay stress
   ISPIN  =      1    spin polarized calculation?
   k-points           NKPTS =      1   k-points in BZ     NKDIM =      1   number of bands    NBANDS=      8
   number of dos      NEDOS =    301   number of ions     NIONS =      2
   ions per type =               1   1
 k-points in reciprocal lattice and weights: Gamma
   0.00000000  0.00000000  0.00000000       1.000
"""
OUTCAR_STEP = """
--------------------------------------- Iteration      {step}(   1)  ---------------------------------------
  energy without entropy =      -10.24000000  energy(sigma->0) =      -10.37000000
------------------------ aborting loop {why} ----------------------------------------
  FORCE on cell =-STRESS in cart. coord.  units (eV):
  Direction    XX          YY          ZZ          XY          YZ          ZX
  --------------------------------------------------------------------------------------
  Total       0.64000    -1.28000     0.00000     0.03995     0.00000     0.00000
  in kB      16.02177   -32.04353     0.00000     1.00000     2.00000     3.00000
  external pressure =       -5.34 kB  Pullay stress =        0.00 kB

  volume of cell :       64.00
      direct lattice vectors                 reciprocal lattice vectors
     4.000000000  0.000000000  0.000000000     0.250000000  0.000000000  0.000000000
     0.000000000  4.000000000  0.000000000     0.000000000  0.250000000  0.000000000
     0.000000000  0.000000000  4.000000000     0.000000000  0.000000000  0.250000000

 POSITION                                       TOTAL-FORCE (eV/Angst)
 -----------------------------------------------------------------------------------
      0.00000      0.00000      0.00000         0.100000      0.000000      0.000000
      2.00000      2.00000      2.0{step}000        -0.100000      0.000000      0.000000
 -----------------------------------------------------------------------------------
    total drift:                                0.000000      0.000000      0.000000

  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy   TOTEN  =       -10.50000000 eV

  energy  without entropy=      -10.25000000  energy(sigma->0) =      -10.37500000
"""


def test_outcar_where_there_is_no_xml_with_one_step_that_stopped_at_nelm(database: Database, tmp_path: Path) -> None:
    steps = [
        OUTCAR_STEP.format(step=1, why="because EDIFF is reached"),
        OUTCAR_STEP.format(step=2, why="EDIFF was not"),
    ]
    (tmp_path / "OUTCAR").write_text(OUTCAR + "".join(steps))
    (frames,) = read_vasp(tmp_path / "OUTCAR").frames
    assert frames.energies.tolist() == [-10.25, -10.25]
    assert frames.converged.tolist() == [True, False]
    # "in kB" stands in the order XX YY ZZ XY YZ ZX
    kB = 64 / 1602.176634
    worked_out = np.array([[0.64, kB, 3 * kB], [kB, -1.28, 2 * kB], [3 * kB, 2 * kB, 0]])
    np.testing.assert_allclose(frames.virials[0], worked_out, atol=1e-6)
    np.testing.assert_allclose(frames.positions[:, 1, 2], [2.01, 2.02])
    summary = ingest_labels(database, VASP, tmp_path, "PBE", source="made up")
    assert (summary.n_new, summary.n_refused_frames) == (1, 1)
    (tmp_path / "OUTCAR").write_text(OUTCAR + steps[0] + steps[1][: steps[1].index("FREE ENERGIE")])
    assert read_vasp(tmp_path / "OUTCAR").n_frames == 1  # the step that was cut off is left out
    write_vasprun(tmp_path / "vasprun.xml")
    assert [path.name for path in VASP.find(tmp_path)] == ["vasprun.xml"]


def test_pressure_of_the_virial_is_that_of_ase(tmp_path: Path) -> None:
    path = write_vasprun(tmp_path / "vasprun.xml")
    (frames,) = read_vasp(path).frames
    stress = ase.io.read(path).get_stress(voigt=False)
    np.testing.assert_allclose(frames.virials[0], -64 * stress, rtol=1e-7)


@pytest.mark.parametrize("isif", [0, 1])
def test_a_stress_that_is_only_a_pressure_gives_no_virial(isif: int, tmp_path: Path) -> None:
    assert read_vasp(write_vasprun(tmp_path / "vasprun.xml", isif=isif)).frames[0].virials is None


def test_ionic_steps_without_convergence_are_refused_one_by_one(database: Database, tmp_path: Path) -> None:
    write_vasprun(tmp_path / "data" / "argyrodite" / "600K" / "vasprun.xml", [5, 10, 6, 10])
    for n_new in (2, 0):
        summary = ingest_labels(database, VASP, tmp_path / "data", "PBE", source="made up")
        assert (summary.n_new, summary.n_refused_frames) == (n_new, 2)
    refusals = list(database.query("refusals", sort={"asked.frame": 1}))
    assert [(one["asked"]["frame"], one["answer"]["gate"]) for one in refusals] == [(1, "scf"), (3, "scf")]
    assert "the SCF of frame 1 did not converge" in refusals[0]["answer"]["reason"]
    labels = list(database.query("labels", sort={"origin.frame": 1}))
    assert [label["origin"]["frame"] for label in labels] == [0, 2]
    assert {(label["origin"]["system"], *label["origin"]["temperatures_K"]) for label in labels} == {
        ("argyrodite", 600.0)
    }


def test_external_stress_and_a_file_cut_short_are_refused_whole(database: Database, tmp_path: Path) -> None:
    write_vasprun(tmp_path / "a" / "vasprun.xml", pstress=5.0)
    cut = write_vasprun(tmp_path / "b" / "vasprun.xml", [5, 5])
    cut.write_text(cut.read_text()[:-900])
    write_vasprun(tmp_path / "c" / "vasprun.xml")
    summary = ingest_labels(database, VASP, tmp_path, "PBE", source="made up")
    assert summary.n_new == 1
    external, broken = summary.refused
    assert external.refused is not None
    assert "PSTRESS is 5 kB" in external.refused
    assert broken.refused is not None
    assert "vasprun.xml" in broken.refused
    assert str(tmp_path) not in broken.refused
    assert database.collection("refusals").count_documents({"answer.gate": "file"}) == 2


LEVEL_TAGS = {
    "ENCUT": 520.0,
    "EDIFF": 1e-5,
    "ISMEAR": 0,
    "SIGMA": 0.05,
    "PREC": "Accurate",
    "LREAL": False,
    "ADDGRID": False,
    "LASPH": True,
    "ISPIN": 1,
    "ISYM": 0,
    "GGA": "Bo",
    "PARAM1": 0.18333333,
    "PARAM2": 0.22,
    "AGGAC": 0.0,
    "LUSE_VDW": True,
}


def _tags(values: dict[str, float | int | bool | str]) -> str:
    kinds = {bool: ' type="logical"', int: ' type="int"', str: ' type="string"', float: ""}
    shown = {name: "FT"[value] if isinstance(value, bool) else value for name, value in values.items()}
    return "".join(f'  <i{kinds[type(values[name])]} name="{name}">{shown[name]}</i>\n' for name in values)


def write_run_at_the_level(
    path: Path, tags: dict[str, float | int | bool | str] | None = None, parameters: str = "", **replaced: str
) -> Path:
    """The made-up run, as the level grain-boundaries would have it but for the tags and texts given."""
    text = write_vasprun(path).read_text().replace("</incar>", _tags({**LEVEL_TAGS, **(tags or {})}) + " </incar>")
    text = text.replace("PAW_PBE Li 17Jan2003", "PAW_PBE Li_sv 10Sep2004").replace(
        "</parameters>", f"{parameters}</parameters>"
    )
    for old, new in (("<c>1.0</c>", "<c>3.0</c>"), ('"NELECT">7.0', '"NELECT">9.0')):
        assert text.count(old) == 1
        text = text.replace(old, new)
    for name, new in replaced.items():
        old = {"mesh": ">1 1 1</v>", "li": "PAW_PBE Li_sv", "nelect": '"NELECT">9.0'}[name]
        assert text.count(old) == 1
        text = text.replace(old, new)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("changes", "gate", "reason"),
    [
        ({}, None, ""),
        ({"tags": {"EDIFF": 1e-6}}, None, ""),
        ({"tags": {"ENCUT": 400.0}}, "level", "VASP used ENCUT = 400.0, the level of theory asked for 520.0"),
        ({"tags": {"GGA": "Pe"}}, "level", "VASP used GGA = Pe, the level of theory asked for Bo"),
        ({"tags": {"LUSE_VDW": False}}, "level", "VASP used LUSE_VDW = False, the level of theory asked for True"),
        ({"tags": {"IVDW": 11}}, "level", "VASP used IVDW = 11, the level of theory asked for 0"),
        ({"tags": {"METAGGA": "R2scan"}}, "level", "VASP used METAGGA = R2scan"),
        (
            {"parameters": '<i type="logical" name="LHFCALC"> T  </i>'},
            "level",
            "VASP used LHFCALC = True, the level of theory asked for False",
        ),
        ({"mesh": ">2 2 2</v>"}, "level", "VASP used the k-points (2, 2, 2), the level of theory asked for (1, 1, 1)"),
        (
            {"li": "PAW_PBE Li"},
            "valence",
            "VASP used the PAW data set 'PAW_PBE Li 10Sep2004' for Li, the level has Li_sv",
        ),
        ({"nelect": '"NELECT">8.0'}, "valence", "VASP counted 8 electrons, the PAW data sets leave 9"),
    ],
)
def test_run_that_contradicts_its_level_of_theory_is_refused(
    changes: dict[str, Any], gate: str | None, reason: str, database: Database, tmp_path: Path
) -> None:
    write_run_at_the_level(tmp_path / "vasprun.xml", **changes)
    summary = ingest_labels(database, VASP, tmp_path, "grain-boundaries", source="made up", system="LiS")
    refusals = [one["answer"] for one in database.query("refusals")]
    assert (summary.n_new, len(refusals)) == ((1, 0) if gate is None else (0, 1))
    for refusal in refusals:
        assert refusal["gate"] == gate
        assert refusal["reason"].startswith(reason)
        assert refusal["reason"].endswith("(grain-boundaries); name the level that made the file")


def test_defaults_that_vasp_fills_in_count_where_incar_has_none(tmp_path: Path) -> None:
    """A cutoff from the PAW data sets, and their functional; a stress that INCAR does not ask for."""
    path = write_run_at_the_level(tmp_path / "vasprun.xml", parameters=_tags({"ENMAX": 499.0, "GGA": "--"}))
    whole = path.read_text()
    for name, reason in (("ENCUT", "VASP used ENCUT = 499.0"), ("GGA", "VASP used GGA = PE")):
        row = _tags({name: LEVEL_TAGS[name]})
        assert whole.count(row) == 1
        path.write_text(whole.replace(row, ""))
        reading = read_vasp(path)
        assert reading.check_level is not None
        with pytest.raises(RefusedError, match=reason):
            reading.check_level(find_level("grain-boundaries").asked)
    without = write_vasprun(tmp_path / "other" / "vasprun.xml", isif=0)
    text = without.read_text()
    row = '  <i type="int" name="ISIF">0</i>\n'
    assert text.count(row) == 1
    without.write_text(text.replace(row, ""))
    assert read_vasp(without).frames[0].virials is None


@pytest.mark.parametrize("name", ["vasprun.xml", "OUTCAR"])
def test_vasp_output_at_a_level_of_cp2k_is_refused(name: str, database: Database, tmp_path: Path) -> None:
    write_vasprun(tmp_path / "vasprun.xml")
    if name == "OUTCAR":
        (tmp_path / "vasprun.xml").unlink()
        (tmp_path / "OUTCAR").write_text(OUTCAR + OUTCAR_STEP.format(step=1, why="because EDIFF is reached"))
    ingest_labels(database, VASP, tmp_path, "disorder", source="made up")
    (refusal,) = database.query("refusals")
    assert refusal["answer"]["gate"] == "level"
    assert "the file is of vasp, the level of theory disorder of cp2k" in refusal["answer"]["reason"]


@pytest.mark.published
def test_real_relaxation_of_silicon_from_both_files(database: Database) -> None:
    assert PUBLISHED_LABELS, "set LIPSDB_PUBLISHED_LABELS to the folder of the published labels"
    folder = Path(PUBLISHED_LABELS).parent / "vasp"
    (of_xml,) = read_vasp(folder / "vasprun.xml.gz").frames
    (of_outcar,) = read_vasp(folder / "OUTCAR.gz").frames
    # printed by VASP: energies without entropy, "in kB" 2.31520 −1.82622 −0.45531, volumes 40.1518 40.32 40.25 Å³
    for frames, digits in ((of_xml, 1e-8), (of_outcar, 2e-5)):
        np.testing.assert_allclose(frames.energies, [-17.54951927, -17.54953832, -17.54958326], atol=1e-8)
        volumes = np.linalg.det(frames.cells)
        pressures_kB = frames.virials.trace(axis1=1, axis2=2) / 3 / volumes * 1602.176634
        np.testing.assert_allclose(pressures_kB, [2.31520, -1.82622, -0.45531], atol=1e-5)
        assert volumes[0] == pytest.approx(40.1518, abs=1e-4)
        assert frames.converged.all()
        np.testing.assert_allclose(frames.positions, of_xml.positions, atol=max(digits, 1e-5))
    # E = F − entropy is the potential of these pressures: dE/dV between the first two steps
    d_energy, d_volume = np.diff(of_xml.energies[:2]), np.diff(np.linalg.det(of_xml.cells)[:2])
    assert abs(d_energy / d_volume * 1602.176634) < 2.5
    summary = ingest_labels(database, VASP, folder, "PBE", source="emmet", system="Si")
    assert [(part.folder, part.formula, part.n_new) for part in summary.folders] == [("vasprun.xml.gz", "Si2", 3)]
