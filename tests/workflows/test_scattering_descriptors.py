"""Structure factors and bond angles: asked for as a campaign file does, of a run with a real trajectory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from lipsdb.campaigns.load import load_campaign
from lipsdb.campaigns.properties.scattering import StructureFactor, read_two_columns
from lipsdb.errors import BadInputError
from lipsdb.queries.catalogue import QUERIES
from lipsdb.queries.figures.descriptors import FIGURES
from lipsdb.store.database import Database
from lipsdb.workflows.campaign_questions import ask

Measured = Callable[..., dict[str, Any]]
DESCRIPTORS = Path(__file__).parents[2] / "campaigns" / "quickstart" / "descriptors.yaml"
COARSE = {"q_max_per_A": 8.0, "dq_per_A": 0.1, "vectors_per_shell": 20, "n_snapshots": 11}


def write_curve(path: Path, q: np.ndarray, values: np.ndarray) -> str:
    rows = "\n".join(f"{one:.17g} {value:.17g}" for one, value in zip(q, values, strict=True))
    path.write_text(f"# made up\n{rows}  # the last one\n\n")
    return str(path)


def test_structure_factor_of_beta_and_its_known_distance_from_made_up_curves(
    database: Database, real_run: dict[str, str], measured: Measured, tmp_path: Path
) -> None:
    alone = measured("structure_factor", real_run, **COARSE)["answer"]
    assert np.isfinite(alone["partial"]).all()
    assert alone["n_snapshots"] == 11
    assert StructureFactor(kind="structure_factor", of="hot").parameters()["n_snapshots"] == 40  # frames are slow
    assert [row["radiation"] for row in alone["summary"]] == ["neutron", "xray"]
    # One tenth above everywhere: R = 100 * 0.1 / 1.1 %. An offset d: R = 100 * d * sqrt(n / sum of squares) %.
    q, used = alone["q_per_A"], alone["q_per_A"] > 2.0
    shifted = alone["interference_xray_e2"] + 7.0
    more = write_curve(tmp_path / "more.dat", q, 1.1 * alone["S_neutron"])
    offset = write_curve(tmp_path / "offset.dat", q, shifted)
    experiments = [
        {"file": more, "radiation": "neutron", "form": "S"},
        {
            "file": offset,
            "name": "shifted",
            "radiation": "xray",
            "form": "interference",
            "from_per_A": 2.0,
            "to_per_A": 8,
        },
    ]
    found = measured("structure_factor", real_run, **COARSE, experiments=experiments)
    neutron, xray = found["answer"]["experiments"]
    assert neutron["R_c_percent"] == pytest.approx(100 * 0.1 / 1.1)
    assert neutron["n_points"] == len(q)
    assert xray["R_c_percent"] == pytest.approx(100 * 7.0 * (used.sum() / (shifted[used] ** 2).sum()) ** 0.5)
    # What was compared stands in the question; where the file was does not.
    asked = found["asked"]["parameters"]["experiments"][0]
    assert asked["q_per_A"] == q.tolist()
    assert (asked["name"], "file" in asked) == ("more", False)
    rows = [row for row in QUERIES["structure_factor"].rows(database) if row.id == found["_id"]]
    assert [(row.radiation, row.experiment, row.form) for row in rows] == [
        ("neutron", "more", "S"),
        ("xray", "shifted", "interference"),
    ]
    assert rows[1].from_per_A >= 2.0
    drawn = FIGURES["structure_factor"].draw([found]).data
    points = {trace.name: trace.y for trace in drawn if trace.mode == "markers"}
    np.testing.assert_allclose(points["more"], 1.1 * alone["S_neutron"])
    mean_square = alone["interference_xray_e2"] / (alone["S_xray"] - 1)
    np.testing.assert_allclose(points["shifted"], 1 + shifted / mean_square)
    far = write_curve(tmp_path / "far.dat", np.array([0.01, 7.99]), np.ones(2))
    with pytest.raises(BadInputError, match="holds 0 measured points"):
        measured("structure_factor", real_run, **COARSE, experiments=[{"file": far, "radiation": "xray", "form": "S"}])


def test_the_transform_sees_the_direct_structure_factor_blurred_by_its_window(
    real_run: dict[str, str], measured: Measured
) -> None:
    direct = measured("structure_factor", real_run, **COARSE | {"vectors_per_shell": 100})["answer"]
    transform = measured("structure_factor", real_run, **COARSE, method="fourier")
    assert "seed" not in transform["asked"]["parameters"]  # it would change nothing
    blurred = transform["answer"]
    assert direct["resolution_per_A"] < 0.6
    assert blurred["resolution_per_A"] > 0.9
    # Q(S - 1) folded with the cosine transform of Lorch's window, sin(π r / L) / (π r / L) up to L = 2 π / resolution.
    r = np.linspace(0.0, 2 * np.pi / blurred["resolution_per_A"], 2000)
    window, q = np.sinc(r / r[-1]), blurred["q_per_A"]
    excess = np.interp(q, direct["q_per_A"], direct["q_per_A"] * (direct["S_xray"] - 1))
    kernel = [np.trapezoid(window * np.cos(np.multiply.outer(x, r)), r) for x in (q[:, None] - q, q[:, None] + q)]
    folded = 1 + 0.1 / np.pi * (kernel[0] - kernel[1]) @ excess / q
    inner = (q > 1.5) & (q < 7)
    assert np.corrcoef(folded[inner], blurred["S_xray"][inner])[0, 1] > 0.9
    assert np.corrcoef(np.interp(q, direct["q_per_A"], direct["S_xray"])[inner], blurred["S_xray"][inner])[0, 1] < 0.8


def test_isotopes_change_what_neutrons_see_and_nothing_else(real_run: dict[str, str], measured: Measured) -> None:
    natural, seven = (
        measured("structure_factor", real_run, **COARSE, scattering_lengths_fm=lengths)["answer"]
        for lengths in ({}, {"Li": -2.22})
    )
    np.testing.assert_array_equal(natural["partial"], seven["partial"])
    np.testing.assert_array_equal(natural["S_xray"], seven["S_xray"])
    # Li3PS4: F(7Li) - F(natural) from the partials, by hand: c_Li = 3/8, c_P = 1/8, c_S = 1/2.
    li, p, s = range(3)
    partial = natural["partial"] - 1
    change = (3 / 8) ** 2 * (2.22**2 - 1.9**2) * partial[li, li]
    change += 2 * (3 / 8) * (-2.22 + 1.9) * (5.13 / 8 * partial[li, p] + 2.847 / 2 * partial[li, s])
    difference = seven["interference_neutron_fm2"] - natural["interference_neutron_fm2"]
    np.testing.assert_allclose(difference, change, atol=1e-9)


def test_bonds_of_beta_meet_at_the_angle_of_a_tetrahedron(
    database: Database, real_run: dict[str, str], measured: Measured
) -> None:
    found = measured("bond_angles", real_run, every_ps=0.5)
    (row,) = QUERIES["bond_angles"].rows(database)
    assert row.angle == "S-P-S"
    assert row.mean_deg == pytest.approx(109.3, abs=0.5)  # the mean of six angles is at most that of the regular one
    assert row.peak_deg == pytest.approx(109.5, abs=3)
    assert row.mean_std_deg < 0.2 < row.spread_deg
    assert row.bonds_per_centre == pytest.approx(4, abs=0.01)
    answer = found["answer"]
    assert (answer["density_per_deg"] * np.diff(answer["edges_deg"])).sum() == pytest.approx(1)
    (line,) = [trace for trace in FIGURES["bond_angles"].draw([found]).data if trace.name]
    np.testing.assert_array_equal(line.y, answer["density_per_deg"])


def campaign_file(tmp_path: Path, **properties: Any) -> Path:
    content = YAML(typ="safe").load(DESCRIPTORS.read_text())
    adopted = DESCRIPTORS.parent / content["potentials"]["deepmd-small"]["adopt"]
    content["potentials"]["deepmd-small"]["adopt"] = str(adopted)
    content["properties"], content["tables"] = properties, []
    path = tmp_path / "campaign.yaml"
    with path.open("w") as stream:
        YAML().dump(content, stream)
    return path


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"experiments": [{"file": "none.dat"}]}, r"experiments\[0\]\.file: received 'none\.dat', no such file"),
        ({"experiments": [{"file": "words.dat"}]}, r"words\.dat:2: received 'one two': each line must"),
        ({"experiments": [{"file": "one.dat", "from_per_A": 2.0}]}, r"one\.dat has 0 points from 2 to 15 1/Å"),
        ({"experiments": [{"file": "nm.dat"}]}, r"nm\.dat has 0 points from 0 to 15 .*divide them by 10 if .* 1/nm"),
        ({"experiments": [{"file": "wide.dat"}], "q_max_per_A": 3.0}, r"wide\.dat has 1 points .* to 20 1/Å: give"),
        ({"every_ps": 1.0}, "every_ps: unknown key"),
        ({"experiments": [{"file": "one.dat", "to_per_A": 20.0}]}, r"to_per_A of an experiment \(20\) no larger"),
        ({"experiments": [{"file": "one.dat"}], "radiations": ["xray"]}, "must have neutron in radiations"),
        ({"scattering_lengths_fm": {"Na": 3.63}}, "received 'Na', not in the structure"),
        ({"dq_per_A": 20.0}, r"must have dq_per_A \(20\) no larger than q_max_per_A \(15\)"),
        ({"kind": "bond_angles", "bin_width_deg": 7.0}, "must be 180 divided by a whole number"),
        ({"kind": "bond_angles", "centre": "Ge"}, "received 'Ge', not in the structure"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_found_before_anything_runs(
    tmp_path: Path, settings: dict[str, Any], expected: str
) -> None:
    (tmp_path / "words.dat").write_text("# Q S\none two\n")
    (tmp_path / "one.dat").write_text("1.0 1.0\n")
    (tmp_path / "nm.dat").write_text("".join(f"{q} 1.0\n" for q in range(20, 30)))
    (tmp_path / "wide.dat").write_text("2.0 1.0\n20.0 1.0\n")
    for curve in settings.get("experiments", []):
        curve |= {"radiation": "neutron", "form": "S"}
    with pytest.raises(BadInputError, match=expected):
        load_campaign(campaign_file(tmp_path, asked={"kind": "structure_factor", "of": "hot"} | settings))


def test_another_content_of_the_same_file_is_another_question(database: Database, tmp_path: Path) -> None:
    curve = {"file": "curve.dat", "radiation": "xray", "form": "Q(S-1)"}
    path = campaign_file(tmp_path, asked={"kind": "structure_factor", "of": "hot", "experiments": [curve]})
    asked = []
    for value in (0.5, 0.5, 0.6):
        (tmp_path / "curve.dat").write_text(f"1.0 {value}\n2.0 0.1\n")
        asked.append(ask(database, load_campaign(path)).properties["asked"][0].asked)
    assert asked[0] == asked[1] != asked[2]


def test_elements_that_are_not_in_a_table_are_named_with_a_way_out() -> None:
    asked = StructureFactor(kind="structure_factor", of="hot")
    assert [message for _, message in asked.problems({"Li", "S"}, None)] == []
    (((field,), message),) = asked.problems({"Li", "La"}, None)
    assert (field, message[-24:]) == ("radiations", "give radiations: [neutron]"[-24:])
    without = StructureFactor(kind="structure_factor", of="hot", radiations=["neutron"])
    assert list(without.problems({"Li", "La"}, None)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# only a comment\n", "has no points"),
        ("1.0 1.0 0.1\n", r":1: received '1\.0 1\.0 0\.1'"),
        ("1.0 1.0\n2.0 nan\n", r":2: received '2\.0 nan'"),
        ("0.0 1.0\n", "above 0"),
    ],
)
def test_files_that_are_no_curves_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "curve.dat"
    path.write_text(text)
    with pytest.raises(BadInputError, match=expected):
        read_two_columns(path)


def test_curves_with_commas_and_comments_are_read(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text("# Q, S\n0.5, 1.25  # first\n\n1e0\t-2\n")
    assert read_two_columns(path) == ([0.5, 1.0], [1.25, -2.0])
    path.write_bytes(b"\xff\xfe1\x00")
    with pytest.raises(BadInputError, match="not text in UTF-8"):
        read_two_columns(path)
    with pytest.raises(BadInputError, match="cannot read"):
        read_two_columns(tmp_path)
