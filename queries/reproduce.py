"""Recomputed labels beside a reference of the same configuration: do energy, forces and stress agree?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.errors import NotFoundError
from lipsdb.queries.aggregation import Aggregation, check_campaign, select
from lipsdb.queries.tables import Column, Table, short_id
from lipsdb.store.joins import with_joined_in

if TYPE_CHECKING:
    from lipsdb.store.database import Database

ENERGY_TOLERANCE_meV_PER_ATOM = 0.3
FORCE_TOLERANCE_meV_PER_A = 5.0
_CODES = {"cp2k": "CP2K", "vasp": "VASP"}  # how a code may be called in the record of versions


@dataclass(frozen=True)
class ReproduceRow:
    """One recomputed label and its reference; differences are recomputed − reference.

    Attributes
    ----------
    energy_difference_meV_per_atom : float
        (E − E₀)/N.
    force_rms_meV_per_A, force_max_meV_per_A : float
        Root mean square and largest absolute value of the differences of the 3N force components.
    stress_rms_GPa : float or None
        Root mean square of the differences of the nine components of σ = −W/V; None if one label has no virial.
    agrees : bool
        Whether energy and forces are within the tolerances.
    """

    system: str
    folder: str
    frame: int
    formula: str
    n_atoms: int
    has_lithium: bool
    reference_level: str
    recomputed_level: str
    energy_difference_meV_per_atom: float
    force_rms_meV_per_A: float
    force_max_meV_per_A: float
    stress_rms_GPa: float | None
    agrees: bool
    repeat: int
    code: str | None
    core_seconds: float
    geometry: str
    reference_id: str
    recomputed_id: str
    reference_level_id: str | None
    recomputed_level_id: str | None
    campaigns: tuple[str, ...]
    flags: tuple[str, ...] = ()
    withdrawals: tuple[str, ...] = ()

    @property
    def stands_on(self) -> tuple[str, ...]:
        """Both labels."""
        return self.reference_id, self.recomputed_id


def aggregation(
    campaign: str | None = None, level_of_theory: str | None = None, reference: str | None = None
) -> Aggregation:
    """The pipeline: configurations with more than one label, each with its labels.

    Parameters
    ----------
    campaign : str, optional
        Only configurations of which this campaign asked for a label.
    level_of_theory : str, optional
        Only configurations with a label at this level.
    reference : str, optional
        Only configurations with a label at this level, too.

    Notes
    -----
    Configurations are counted in the index of their digests; only the labels of those with several are read.
    """
    kept = ["asked", "origin", "campaigns", "inputs.role", "inputs.id", "made_by.activity", "made_by.versions"]
    kept += ["made_by.core_seconds", "made_by.finished_at"]
    answers = ("formula", "n_atoms", "cell", "energy_eV", "forces", "virial")
    fields = dict.fromkeys([*kept, *(f"answer.{name}" for name in answers)], 1)
    labels = {
        "from": "labels",
        "localField": "_id",
        "foreignField": "answer.geometry",
        "pipeline": [{"$project": fields}],
        "as": "labels",
    }
    conditions = [
        *({"labels.asked.level_of_theory": name} for name in (level_of_theory, reference) if name is not None),
        *([] if campaign is None else [{"labels.campaigns": campaign}]),  # of one of the labels, maybe not of all
    ]
    pipeline = [
        *select("labels", {"answer.geometry": {"$gte": ""}}, None, campaigns=False),
        {"$group": {"_id": "$answer.geometry", "n": {"$sum": 1}}},
        {"$match": {"n": {"$gt": 1}}},
        {"$sort": {"_id": 1}},
        {"$lookup": labels},
        *with_joined_in("labels"),
        *({"$match": condition} for condition in conditions),
    ]
    return Aggregation("labels", pipeline)


def rows(
    database: Database, campaign: str | None = None, level_of_theory: str | None = None, reference: str | None = None
) -> list[ReproduceRow]:
    """Run the query.

    Parameters
    ----------
    database : Database
    campaign : str, optional
        Only labels that this campaign asked for, compared with any.
    level_of_theory : str, optional
        Only recomputations at this level.
    reference : str, optional
        Only labels of this level as references.

    Raises
    ------
    NotFoundError
        If there is no such campaign, or no label of such a level.
    """
    from lipsdb.provenance.canonical import decoded

    check_campaign(database, campaign)
    _check_levels(database, [level_of_theory, reference])
    wanted = aggregation(campaign, level_of_theory, reference)
    found = database.collection(wanted.collection).aggregate(wanted.pipeline, batchSize=50)
    made = [
        row
        for group in found
        for row in rows_of(str(group["_id"]), [decoded(label) for label in group["labels"]], reference)
        if (level_of_theory is None or row.recomputed_level == level_of_theory)
        and (campaign is None or campaign in row.campaigns)
    ]
    return sorted(made, key=lambda row: (row.system, row.folder, row.frame, row.recomputed_level, row.repeat))


def _check_levels(database: Database, names: Sequence[str | None]) -> None:
    labels = database.collection("labels")
    for name in names:
        if name is not None and labels.find_one({"asked.level_of_theory": name}, {"_id": 1}) is None:
            there = ", ".join(sorted(labels.distinct("asked.level_of_theory"))) or "none"
            raise NotFoundError(f"no label of the level of theory {name!r} in this database; there are: {there}")


def rows_of(geometry: str, labels: Sequence[Mapping[str, Any]], reference: str | None = None) -> Iterator[ReproduceRow]:
    """Compare the labels of one configuration with their reference.

    Parameters
    ----------
    geometry : str
        Digest of the configuration.
    labels : sequence of mappings
        As the pipeline gives them, arrays decoded.
    reference : str, optional
        Level of theory that the reference must have; no rows if none has it.

    Notes
    -----
    The reference is the ingested label if there is one, else the one with the lowest `repeat`, then the earliest.
    """
    candidates = [label for label in labels if reference is None or label["asked"]["level_of_theory"] == reference]
    if not candidates:
        return
    first = min(candidates, key=_rank)
    for label in labels:
        if label["_id"] != first["_id"]:
            yield _row(geometry, first, label)


def _rank(label: Mapping[str, Any]) -> tuple[Any, ...]:
    made_by = label["made_by"]
    return (made_by["activity"] != "ingest", label["asked"]["repeat"], made_by["finished_at"], label["_id"])


def _row(geometry: str, first: Mapping[str, Any], label: Mapping[str, Any]) -> ReproduceRow:
    from lipsdb.dft.result import EV_A3_IN_GPA

    origin, before, after = first["origin"], first["answer"], label["answer"]
    energy = 1000.0 * (after["energy_eV"] - before["energy_eV"]) / before["n_atoms"]
    forces = 1000.0 * (np.asarray(after["forces"], dtype=float) - np.asarray(before["forces"], dtype=float))
    force_rms = _rms(forces)
    stress_rms = None
    if before["virial"] is not None and after["virial"] is not None:
        virial = np.asarray(after["virial"], dtype=float) - np.asarray(before["virial"], dtype=float)
        stress_rms = _rms(virial) / abs(float(np.linalg.det(np.asarray(before["cell"])))) * EV_A3_IN_GPA
    return ReproduceRow(
        system=origin["system"],
        folder=origin["folder"],
        frame=origin["frame"],
        formula=before["formula"],
        n_atoms=before["n_atoms"],
        has_lithium="Li" in before["formula"],
        reference_level=first["asked"]["level_of_theory"],
        recomputed_level=label["asked"]["level_of_theory"],
        energy_difference_meV_per_atom=energy,
        force_rms_meV_per_A=force_rms,
        force_max_meV_per_A=float(np.abs(forces).max()),
        stress_rms_GPa=stress_rms,
        agrees=abs(energy) <= ENERGY_TOLERANCE_meV_PER_ATOM and force_rms <= FORCE_TOLERANCE_meV_PER_A,
        repeat=label["asked"]["repeat"],
        code=_code(label),
        core_seconds=float(label["made_by"]["core_seconds"]),
        geometry=geometry,
        reference_id=first["_id"],
        recomputed_id=label["_id"],
        reference_level_id=_level_id(first),
        recomputed_level_id=_level_id(label),
        campaigns=tuple(label["campaigns"]),
    )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _code(label: Mapping[str, Any]) -> str | None:
    """Program and version that made a label, such as 'CP2K 2023.1'; None if its record names none."""
    for name, version in label["made_by"]["versions"].items():
        if name.lower() in _CODES:
            return f"{_CODES[name.lower()]} {version}"
    return None


def _level_id(label: Mapping[str, Any]) -> str | None:
    return next((str(link["id"]) for link in label["inputs"] if link["role"] == "level_of_theory"), None)


def table(found: Sequence[ReproduceRow]) -> Table:
    """Lay the rows out as a table."""
    columns = [
        Column("system", "", lambda row: row.system),
        Column("frame", "", lambda row: f"{row.folder} {row.frame}"),
        Column("composition", "", lambda row: row.formula, detail=True),
        Column("atoms", "", lambda row: row.n_atoms),
        Column("reference", "", lambda row: row.reference_level),
        Column("recomputed", "", lambda row: row.recomputed_level),
        Column("ΔE", "meV/atom", lambda row: f"{row.energy_difference_meV_per_atom:+.3f}"),
        Column("force RMS", "meV/Å", lambda row: row.force_rms_meV_per_A),
        Column("force max", "meV/Å", lambda row: row.force_max_meV_per_A),
        Column("stress RMS", "GPa", lambda row: row.stress_rms_GPa),
        Column("agrees", "", lambda row: row.agrees),
        Column("code", "", lambda row: row.code, detail=True),
        Column("cost", "core s", lambda row: f"{row.core_seconds:.0f}", detail=True),
        Column("label", "", lambda row: short_id(row.recomputed_id), detail=True),
    ]
    notes = []
    if found:
        notes = [
            "differences are recomputed − reference; stress: where both have a virial",
            f"agrees: |ΔE| ≤ {ENERGY_TOLERANCE_meV_PER_ATOM:g} meV/atom and "
            f"force RMS ≤ {FORCE_TOLERANCE_meV_PER_A:g} meV/Å",
            *_verdicts(found),
        ]
    todo = "no configuration has two labels; a campaign that recomputes labels (section `dft`) makes them"
    return Table("reproduce", "Recomputed labels beside their reference", columns, found, notes, ReproduceRow, todo)


def _verdicts(found: Sequence[ReproduceRow]) -> Iterator[str]:
    """How many agree, for each pair of levels."""
    pairs = sorted({(row.reference_level, row.recomputed_level) for row in found})
    for pair in pairs:
        same = [row for row in found if (row.reference_level, row.recomputed_level) == pair]
        yield f"{pair[0]} recomputed at {pair[1]}: {sum(row.agrees for row in same)} of {len(same)} agree"
