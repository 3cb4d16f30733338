"""The runs of a campaign: what was set, what came out, how quickly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lipsdb.queries.report.contents import Contents
from lipsdb.queries.tables import Column, Measured, Table, short_id


@dataclass(frozen=True)
class RunRow:
    """One run; means are over production, None if it ended before."""

    structure: str
    potential_id: str
    potential: str
    ensemble: str
    temperature_K: float
    seed: int
    n_atoms: int
    length_ps: float
    mean_temperature_K: float | None
    std_temperature_K: float | None
    mean_pressure_bar: float | None
    mean_density_g_cm3: float | None
    framework_msd_A2: float | None
    steps_per_second: float | None
    id: str
    flags: tuple[str, ...] = ()
    withdrawals: tuple[str, ...] = ()


def run_rows(contents: Contents) -> list[RunRow]:
    """One row a run, by potential, coldest first."""
    names = {document["_id"]: document["answer"]["name"] for document in contents.structures}
    framework = {
        document["answer"]["conditions"]["run_id"]: document["answer"]["framework_msd_A2"]
        for document in contents.of("diffusion")
    }
    return sorted((_row(run, contents, names, framework) for run in contents.runs), key=lambda row: row.potential)


def potential_of(run: Mapping[str, Any]) -> str:
    """Id of the potential of a run, or of the level of theory."""
    return next(str(link["id"]) for link in run["inputs"] if link["role"] in {"potential", "level_of_theory"})


def _row(
    run: Mapping[str, Any], contents: Contents, names: Mapping[str, str], framework: Mapping[str, float | None]
) -> RunRow:
    settings, answer = run["asked"]["settings"], run["answer"]
    structure = next(link["id"] for link in run["inputs"] if link["role"] == "structure")
    temperature = answer["thermo"].get("temperature")
    means = answer if answer["n_frames"] else {}  # without production the stored ones are over the equilibration
    return RunRow(
        structure=names.get(structure, short_id(structure)),
        potential_id=potential_of(run),
        potential=contents.potential_name(potential_of(run)),
        ensemble=settings["ensemble"].upper(),
        temperature_K=settings["temperature_K"],
        seed=settings["seed"],
        n_atoms=answer["n_atoms"],
        length_ps=answer["frame_interval_ps"] * max(answer["n_frames"] - 1, 0),
        mean_temperature_K=means.get("mean_temperature_K"),
        std_temperature_K=None if temperature is None or not len(temperature) else float(temperature.std()),
        mean_pressure_bar=means.get("mean_pressure_bar"),
        mean_density_g_cm3=means.get("mean_density_g_cm3"),
        framework_msd_A2=framework.get(run["_id"]),
        steps_per_second=run["made_by"]["rates"].get("steps_per_second"),
        flags=("stopped",) if (answer.get("extrapolation") or {}).get("stopped") else (),
        id=run["_id"],
    )


def _mean_temperature(row: RunRow) -> Measured | None:
    return None if row.mean_temperature_K is None else Measured(row.mean_temperature_K, row.std_temperature_K)


def run_table(rows: Sequence[RunRow]) -> Table:
    """Lay the rows out as a table."""
    potential = Column("potential", "", lambda row: row.potential)
    columns = [
        Column("structure", "", lambda row: row.structure),
        *([potential] if len({row.potential_id for row in rows}) > 1 else []),
        Column("ensemble", "", lambda row: row.ensemble),
        Column("T set", "K", lambda row: f"{row.temperature_K:g}"),
        Column("T", "K", _mean_temperature),
        Column("p", "bar", lambda row: row.mean_pressure_bar),
        Column("density", "g/cm³", lambda row: row.mean_density_g_cm3),
        Column("framework MSD", "Å²", lambda row: row.framework_msd_A2),
        Column("seed", "", lambda row: row.seed),
        Column("atoms", "", lambda row: row.n_atoms),
        Column("length", "ps", lambda row: f"{row.length_ps:g}"),
        Column("speed", "steps/s", lambda row: row.steps_per_second),
        *([Column("flags", "", lambda row: row.flags)] if any(row.flags for row in rows) else []),
        Column("id", "", lambda row: short_id(row.id)),
    ]
    notes = [
        "T: mean over production ± its fluctuation, as a cell of this size has it. Framework MSD: of the atoms whose "
        "drift is removed, at the longest lag; large if the framework melts."
    ]
    return Table(name="runs", title="Molecular dynamics runs", columns=columns, rows=rows, notes=notes, row_type=RunRow)
