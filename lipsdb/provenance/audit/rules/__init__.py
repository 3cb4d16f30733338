"""Audit of rules: do the numbers that belong together fit together, and was nothing made by a program known to err?

1. A potential is trained and used with the same major version of its engine's program.
2. The labels of one dataset share their level of theory.
3. Numbers that follow from each other do so in the units that their names state.
4. No program has a version that is known to give wrong numbers, and each document names the versions it was made by.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipsdb.provenance.audit.findings import Progress, Survey
from lipsdb.provenance.audit.reading import documents
from lipsdb.provenance.audit.rules.known_bad import KNOWN_BAD_FILE, known_bad_versions
from lipsdb.provenance.audit.rules.labels import check_arrays, check_energies
from lipsdb.provenance.audit.rules.levels import check_levels
from lipsdb.provenance.audit.rules.programs import check_majors, check_programs
from lipsdb.provenance.audit.rules.tally import Group, tally
from lipsdb.provenance.audit.rules.units import faults_of_property, faults_of_run, faults_of_structure
from lipsdb.provenance.kinds import COLLECTIONS, RESULTS
from lipsdb.provenance.links import links_of

if TYPE_CHECKING:
    from lipsdb.store.database import Database

SAMPLED_LABELS = 500
_TOLD_EVERY = 100

_MADE_FROM = {  # the inputs of these roles, whatever else there is
    "inputs": {
        "$filter": {
            "input": {"$cond": [{"$isArray": "$inputs"}, "$inputs", []]},
            "cond": {"$in": ["$$this.role", ["potential", "structure"]]},
        }
    }
}
_OF_RUN = {
    **_MADE_FROM,
    "made_by.versions": 1,
    "asked.settings": 1,
    **{
        f"answer.{name}": 1
        for name in (
            "n_atoms", "frame_interval_ps", "thermo_units", "mean_temperature_K", "mean_pressure_bar",
            "mean_volume_A3", "mean_density_g_cm3", "mean_stress_GPa",
        )
    },
}  # fmt: skip
_OF_PROPERTY = {
    **_MADE_FROM,
    "made_by.versions": 1,
    **{
        f"answer.{name}": 1
        for name in (
            "conditions", "species", "charge_e", "D_cm2_s", "D_std_cm2_s", "sigma_S_cm", "sigma_std_S_cm",
            "number_density_A3", "points", "Ea_eV", "ln_D0_cm2_s", "target_temperature_K", "D_target_cm2_s",
            "D_target_68_cm2_s", "sigma_target_S_cm", "sigma_target_68_S_cm", "sigma_target_95_S_cm",
        )
    },
}  # fmt: skip


def check_rules(
    database: Database,
    survey: Survey,
    progress: Progress,
    *,
    sampled_labels: int = SAMPLED_LABELS,
    seed: int = 0,
    known_bad: Path = KNOWN_BAD_FILE,
) -> None:
    """Check what must hold between documents for their numbers to mean what they say.

    Parameters
    ----------
    database : Database
    survey : Survey
        Findings and counts are added to it.
    progress : callable
        Called with stage, how many are done, and how many there are.
    sampled_labels : int
        Labels whose arrays are unpacked; energies, levels and versions are looked at for all.
    seed : int
        Of that sample.
    known_bad : Path
        List of the versions that are known to be bad.

    Raises
    ------
    BadInputError
        If that list is malformed.

    Notes
    -----
    Labels are counted on the server, by version, level of theory and composition, in one reading; other documents are
    read by the few fields that the rules need. Memory holds the groups, and a few numbers of each structure and
    potential.
    """
    entries = known_bad_versions(known_bad)
    labels: list[Group] = []
    for kind in RESULTS:
        paths = sorted({path for entry in entries if kind in entry.kinds for path in entry.conditions})
        groups = tally(database, kind, survey, paths)
        check_programs(database, survey, groups, entries)
        labels = groups if kind == "label" else labels
        progress(f"rules: versions of {COLLECTIONS[kind]}", *[sum(group.n for group in groups)] * 2)
    check_levels(database, survey, labels, progress)
    check_energies(database, survey, labels)
    check_arrays(database, survey, progress, sampled_labels, seed)
    _check_structures_runs_properties(database, survey, progress)


def _check_structures_runs_properties(database: Database, survey: Survey, progress: Progress) -> None:
    structures: dict[str, Mapping[str, Any]] = {}
    fields = dict.fromkeys(("answer.formula", "answer.n_atoms", "answer.volume_A3", "answer.density_g_cm3"), 1)
    for structure in documents(database, "structure", survey.scope, fields):
        structures[str(structure["_id"])] = structure
        _report(survey, structure, faults_of_structure(structure))
    chosen = {"asked.engine": 1, "made_by.versions": 1}
    potentials = {str(one["_id"]): one for one in documents(database, "potential", survey.scope, chosen)}
    external = _external_potentials(database)

    def users(kind: str, fields: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        done = 0
        for done, document in enumerate(documents(database, kind, survey.scope, fields), 1):
            if kind == "run":
                made_from = (link["id"] for link in links_of(document) if link["role"] == "structure")
                faults = faults_of_run(document, structures.get(next(made_from, "")))
            else:
                faults = faults_of_property(document)
            _report(survey, document, faults)
            yield document
            if done % _TOLD_EVERY == 0:
                progress(f"rules: units of {COLLECTIONS[kind]}", done, done)
        progress(f"rules: units of {COLLECTIONS[kind]}", done, done)

    check_majors(survey, users("run", _OF_RUN), potentials, external)
    check_majors(survey, users("property", _OF_PROPERTY), potentials, external)


def _report(survey: Survey, document: Mapping[str, Any], faults: Iterable[str]) -> None:
    for fault in faults:
        remedy = "make it again, and withdraw this one"
        survey.error("rules", str(document["_id"]), f"units: {fault}; {remedy}")


def _external_potentials(database: Database) -> set[str]:
    from lipsdb.store.database import EXTERNALS

    noted = database.collection(EXTERNALS).find({"collection": COLLECTIONS["potential"]}, {"_id": 1})
    return {str(entry["_id"]) for entry in noted}
