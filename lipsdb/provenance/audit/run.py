"""The levels of an audit, one after the other, and what is downstream of each finding.

Everything is read once, a few documents at a time; what is kept in memory is ids and hashes. Errors put numbers in
doubt and come with everything downstream of them; notes are harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lipsdb.documents.base import now
from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.provenance.audit.content import check_content
from lipsdb.provenance.audit.findings import Affected, AuditReport, Finding, Progress, Survey
from lipsdb.provenance.audit.launches import check_launches
from lipsdb.provenance.audit.links import check_links
from lipsdb.provenance.audit.record import check_manifest, store_audit
from lipsdb.provenance.audit.rules import check_rules
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.lineage import descend, upstream_ids
from lipsdb.provenance.summaries import summary_fields, summary_of

if TYPE_CHECKING:
    from lipsdb.store.database import Database

LEVELS = ("links", "content", "launches", "rules", "reproduction")
DEFAULT_LEVELS = LEVELS[:4]
Check = Callable[["Database", Survey, Progress], None]


def audit(
    database: Database,
    campaign: str | None = None,
    progress: Progress | None = None,
    *,
    levels: Sequence[str] = DEFAULT_LEVELS,
    reproduce: Check | None = None,
    sample: tuple[int, int] = (0, 0),
    store: bool = False,
) -> AuditReport:
    """Recompute every hash, follow every input, check every launch and rule, find what belongs to nothing.

    Parameters
    ----------
    database : Database
    campaign : str, optional
        Only this campaign's documents, everything upstream of them, their artifacts, and its workflows.
    progress : callable, optional
        Called with stage, how many are done, and how many there are.
    levels : sequence of str
        Which of `LEVELS`.
    reproduce : callable, optional
        The check of the level 'reproduction', which computes results again: `lipsdb.workflows.reproduction`.
    sample : tuple of int
        How many results that check computes again, and the seed of their choice, for the record.
    store : bool
        Store the audit as a document, if this user may.

    Returns
    -------
    AuditReport
        Errors first. No document in the database is changed.

    Raises
    ------
    NotFoundError
        If there is no such campaign.
    BadInputError
        For a level that there is not.

    Notes
    -----
    Work may go on meanwhile: a document stored during the audit, a job that just started, and a blob that is just being
    written are no errors.
    """
    started_at = now()
    checks = _checks(levels, campaign, reproduce)
    survey = Survey(scope=None if campaign is None else _scope(database, campaign))
    report = progress or (lambda stage, done, total: None)
    with TemporaryDirectory() as folder:
        manifest = Path(folder) / "manifest.txt" if campaign is None and "links" in levels else None
        if manifest is not None:
            check_manifest(database, survey, report, manifest)
        for check in checks:
            check(database, survey, report)
        findings = _with_downstream(database, survey)
        findings.sort(key=lambda finding: (finding.level, finding.check, finding.document))
        done = AuditReport(findings, dict(survey.counts), campaign, tuple(levels), started_at, *sample)
        return replace(done, record=store_audit(database, done, manifest)) if store else done


def _checks(levels: Sequence[str], campaign: str | None, reproduce: Check | None) -> list[Check]:
    unknown = [level for level in levels if level not in LEVELS]
    if unknown or not levels:
        what = f"{unknown[0]!r} is not a level" if unknown else "no level is given"
        raise BadInputError(f"{what} of the audit; the levels are {', '.join(LEVELS)}")
    if "reproduction" in levels and reproduce is None:
        raise BadInputError("the level 'reproduction' needs the function that computes results again")

    def launches(database: Database, survey: Survey, progress: Progress) -> None:
        check_launches(database, survey, progress, campaign)

    by_level: dict[str, list[Check]] = {
        "content": [check_content],
        "links": [check_links],
        "launches": [launches],
        "rules": [check_rules],
        "reproduction": [] if reproduce is None else [reproduce],
    }
    return [check for level, checks in by_level.items() if level in levels for check in checks]


def _scope(database: Database, campaign: str) -> set[str]:
    roots: list[str] = []
    for name in COLLECTIONS.values():
        roots += [entry["_id"] for entry in database.query(name, {"campaigns": campaign}, ["_id"])]
    if not roots and database.collection("workflows").find_one({"metadata.campaign": campaign}, {"_id": 1}) is None:
        raise NotFoundError(f"no campaign {campaign!r} in this database; `lipsdb list campaign` shows what there is")
    return upstream_ids(database, roots)


def _with_downstream(database: Database, survey: Survey) -> list[Finding]:
    """Add to each error what was made from the damaged document or artifact."""
    damaged: dict[str, list[str]] = {}  # what is named in the finding: documents to start from
    for finding in survey.findings:
        if finding.level == "error":
            damaged[finding.document] = survey.files.get(finding.document, [finding.document])
    roots = sorted({id_ for starts in damaged.values() for id_ in starts if "-" in id_})
    consumers, edges = descend(database, roots)
    following: dict[str, set[str]] = {}
    for edge in edges:
        following.setdefault(edge.source, set()).add(edge.target)
    summaries = {id_: summary_of(document) for id_, document in consumers.items()}
    summaries |= _summaries(database, [id_ for starts in damaged.values() for id_ in starts if id_ not in summaries])
    alike: dict[frozenset[str], tuple[Affected, ...]] = {}  # thousands of labels share the same consumers
    complete = []
    for finding in survey.findings:
        if finding.level == "error":
            starts = damaged[finding.document]
            own = (
                set() if finding.document in starts else set(starts)
            )  # those that name an artifact are downstream of it
            first = frozenset(own.union(*(following.get(id_, set()) for id_ in starts)))
            if first not in alike:
                reached = _reached(first, following)
                alike[first] = tuple(Affected(id_, summaries.get(id_, id_)) for id_ in sorted(reached))
            finding = replace(  # noqa: PLW2901
                finding, downstream=tuple(affected for affected in alike[first] if affected.id != finding.document)
            )
        complete.append(finding)
    return complete


def _reached(first: Iterable[str], following: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(first)
    while waiting:
        id_ = waiting.pop()
        if id_ not in reached:
            reached.add(id_)
            waiting += following.get(id_, set())
    return reached


def _summaries(database: Database, ids: list[str]) -> dict[str, str]:
    found = {}
    for kind, name in COLLECTIONS.items():
        wanted = [id_ for id_ in ids if id_.startswith(f"{kind}-")]
        for start in range(0, len(wanted), 10_000):
            criteria = {"_id": {"$in": wanted[start : start + 10_000]}}
            for document in database.collection(name).find(criteria, dict.fromkeys(summary_fields(kind), 1)):
                found[document["_id"]] = summary_of(document)
    return found
