"""Rules on programs: each is named with its version, none is known to be bad, training and use agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lipsdb.potentials.engines import ENGINES, engine
from lipsdb.provenance.audit.rules.known_bad import KnownBad
from lipsdb.provenance.audit.rules.tally import Group, condition, members
from lipsdb.provenance.audit.rules.versions import dated_version_of, version_of
from lipsdb.provenance.links import links_of

if TYPE_CHECKING:
    from lipsdb.provenance.audit.findings import Survey
    from lipsdb.store.database import Database

#: Names in `made_by.versions`.
PROGRAM_OF_ENGINE: Mapping[str, str] = {name: engine(name).program for name in ENGINES}
PROGRAM_OF_RUN: Mapping[str, str] = {"lammps": "LAMMPS", "cp2k": "cp2k", "vasp": "vasp"}
PROGRAM_OF_METHOD: Mapping[str, str] = {"softness": "scikit-learn"}
PROGRAM_OF_PROPERTY: Mapping[str, str] = {"diffusion": "kinisi"}


def check_programs(database: Database, survey: Survey, groups: Iterable[Group], entries: Sequence[KnownBad]) -> None:
    """Each document names the versions of the programs that its kind needs, and none of them is known to be bad."""
    for group in groups:
        faults = [("error", fault) for fault in _silent(group)]
        faults += [(entry.severity, fault) for entry in entries if (fault := _bad(group, entry))]
        if not faults:
            continue
        for document in members(database, survey, group):
            for level, fault in faults:
                (survey.error if level == "error" else survey.note)("rules", str(document["_id"]), fault)


def _silent(group: Group) -> Iterable[str]:
    """Why the versions of a group cannot be judged."""
    for needed in _needed(group):
        version = group.versions.get(needed)
        if version is None:
            yield (
                f"versions: cannot be judged: it names no version of {needed} (it names "
                f"{', '.join(sorted(map(str, group.versions))) or 'none at all'}); make it again, or withdraw it"
            )
        elif version_of(str(version)) is None and dated_version_of(str(version)) is None:
            yield (
                f"versions: cannot be judged: {needed} {version!r} is no version number or release date; make it "
                "again, or withdraw it"
            )


def _needed(group: Group) -> list[str]:
    """Programs that documents such as these are made by."""
    key, needed = group.key, ["lipsdb"]
    activity = str(key.get("activity"))
    if group.kind == "potential" or (group.kind == "property" and key.get("engine") is not None):
        needed.append(PROGRAM_OF_ENGINE.get(str(key["engine"]), f"the program of engine {key['engine']!r}"))
    if group.kind == "run":
        needed.append(PROGRAM_OF_RUN.get(str(key.get("program")), f"the program {key.get('program')!r}"))
    if group.kind == "property" and key.get("property") in PROGRAM_OF_PROPERTY:
        needed.append(PROGRAM_OF_PROPERTY[str(key["property"])])
    if group.kind == "classifier":
        needed.append(PROGRAM_OF_METHOD.get(str(key.get("method")), f"the program of method {key.get('method')!r}"))
    code = activity.rpartition("_by_")[2]  # label_by_cp2k, relax_by_vasp …
    if group.kind in {"label", "structure"} and "_by_" in activity and code in PROGRAM_OF_RUN:
        needed.append(PROGRAM_OF_RUN[code])
    return needed


def _bad(group: Group, entry: KnownBad) -> str | None:
    """What is wrong with a group by an entry of the list; None if it does not concern it."""
    if group.kind not in entry.kinds or (entry.activities and group.key.get("activity") not in entry.activities):
        return None
    if any(condition(group, path) != value for path, value in entry.conditions.items()):
        return None
    applies = entry.applies(group.versions)
    if applies is False:
        return None
    named = ", ".join(f"{name} {group.versions[name]}" for name in entry.ranges if name in group.versions)
    if applies is not True:
        return (
            f"known-bad version: cannot be judged: {named}, but no legible version of {applies}; if it is "
            f"{entry.ranges[applies].text}, {entry.wrong} ({entry.sources[0]})"
        )
    ranges = " with ".join(f"{name} {range_.text}" for name, range_ in entry.ranges.items())
    return (
        f"known-bad version: {named} (known: {ranges}): {entry.wrong}; see {entry.sources[0]}; make it again with "
        "another version and withdraw this one"
    )


def check_majors(
    survey: Survey, users: Iterable[Mapping[str, Any]], potentials: Mapping[str, Mapping[str, Any]], external: set[str]
) -> None:
    """A potential is used with the same major version of its engine's program that trained it.

    Parameters
    ----------
    survey : Survey
    users : iterable of documents
        Runs and properties, with the inputs in the role 'potential'.
    potentials : mapping
        Engine and versions of each potential, by id.
    external : set of str
        Potentials that are known by id only.
    """
    for user in users:
        id_, versions = str(user["_id"]), _versions(user)
        for potential in (link["id"] for link in links_of(user) if link["role"] == "potential"):
            survey.counts["uses of potentials"] += 1
            trained = potentials.get(potential)
            if trained is None:
                report = survey.note if potential in external else survey.error
                place = "known by id only" if potential in external else "not in this database"
                report("rules", id_, f"major version: cannot be judged: {potential} is {place}; import it")
                continue
            engine = (trained.get("asked") or {}).get("engine")
            program = PROGRAM_OF_ENGINE.get(str(engine), f"the program of engine {engine!r}")
            own, other = (version_of(str(made.get(program, ""))) for made in (versions, _versions(trained)))
            if own is None or other is None:
                survey.error(
                    "rules",
                    id_,
                    f"major version: cannot be judged: {program} is {versions.get(program)} here and "
                    f"{_versions(trained).get(program)} in {potential}; make again what names none, or withdraw it",
                )
            elif own.major != other.major:
                survey.error(
                    "rules",
                    id_,
                    f"major version: {potential} was trained with {program} {_versions(trained)[program]} and used "
                    f"with {versions[program]}; use it with version {other.major}, or train it again",
                )


def _versions(document: Mapping[str, Any]) -> Mapping[str, Any]:
    made_by = document.get("made_by")
    versions = made_by.get("versions") if isinstance(made_by, Mapping) else None
    return versions if isinstance(versions, Mapping) else {}
