"""Audit: is every document, artifact, link and launch what it says it is?

Everything is read once, a few documents at a time; what is kept in memory is ids and hashes. Errors put numbers in
doubt and come with everything downstream of them; notes are harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from lipsdb.errors import NotFoundError
from lipsdb.provenance.audit_content import check_artifacts, check_documents, check_links
from lipsdb.provenance.audit_findings import Affected, AuditReport, Finding, Progress, Survey
from lipsdb.provenance.audit_launches import check_launches
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.lineage import descend, upstream_ids
from lipsdb.provenance.summaries import summary_fields, summary_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lipsdb.store.database import Database

__all__ = ["Affected", "AuditReport", "Finding", "as_json", "as_table", "audit"]

_AFFECTED_SHOWN = 12
_NOTES_SHOWN = 10


def audit(database: Database, campaign: str | None = None, progress: Progress | None = None) -> AuditReport:
    """Recompute every hash, follow every input, check every launch, find what belongs to nothing.

    Parameters
    ----------
    database : Database
    campaign : str, optional
        Only this campaign's documents, everything upstream of them, their artifacts, and its workflows.
    progress : callable, optional
        Called with stage, how many are done, and how many there are.

    Returns
    -------
    AuditReport
        Errors first. Nothing in the database is changed.

    Raises
    ------
    NotFoundError
        If there is no such campaign.

    Notes
    -----
    Work may go on meanwhile: a document stored during the audit, a job that just started, and a blob that is just being
    written are no errors.
    """
    report = progress or (lambda stage, done, total: None)
    survey = Survey(scope=None if campaign is None else _scope(database, campaign))
    check_documents(database, survey, report)
    check_links(database, survey, report)
    check_artifacts(database, survey, report)
    check_launches(database, survey, report, campaign)
    findings = _with_downstream(database, survey)
    findings.sort(key=lambda finding: (finding.level, finding.check, finding.document))
    return AuditReport(findings, dict(survey.counts), campaign)


def _scope(database: Database, campaign: str) -> set[str]:
    roots: list[str] = []
    for name in COLLECTIONS.values():
        roots += [entry["_id"] for entry in database.collection(name).find({"campaigns": campaign}, {"_id": 1})]
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


def as_json(report: AuditReport) -> dict[str, Any]:
    """An audit's report, complete, ready for `json.dumps`."""
    return {
        "passed": report.passed,
        "campaign": report.campaign,
        "counts": report.counts,
        "findings": [asdict(finding) for finding in report.findings],
    }


def as_table(report: AuditReport) -> RenderableType:
    """An audit's report for people: damaged documents with everything downstream of them, notes, and the verdict."""
    from rich.console import Group
    from rich.text import Text

    lines: list[Text] = []
    for document, findings in _grouped(report.errors).items():
        lines.append(Text(document, style="bold red"))
        lines += [Text(f"  {finding.check}: {finding.message}") for finding in findings]
        lines += _affected_lines({affected.id: affected for finding in findings for affected in finding.downstream})
    notes = [finding for finding in report.findings if finding.level == "note"]
    lines += [Text(f"note: {note.document}: {note.message}", style="dim") for note in notes[:_NOTES_SHOWN]]
    if len(notes) > _NOTES_SHOWN:
        lines.append(Text(f"note: {len(notes) - _NOTES_SHOWN} more notes; `--json` lists all", style="dim"))
    lines.append(Text(_looked_at(report)))
    n_damaged, n_notes = len(_grouped(report.errors)), f"{len(notes)} note{'' if len(notes) == 1 else 's'}"
    if report.passed:
        lines.append(Text(f"Audit passed: nothing is damaged, missing or hanging ({n_notes}).", style="bold green"))
    else:
        what = "1 thing is" if n_damaged == 1 else f"{n_damaged} things are"
        affected = len({affected.id for finding in report.errors for affected in finding.downstream})
        verdict = f"Audit failed: {what} not as recorded, {affected} documents are downstream ({n_notes})."
        lines.append(Text(verdict, style="bold red"))
    return Group(*lines)


def _grouped(findings: list[Finding]) -> dict[str, list[Finding]]:
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.document, []).append(finding)
    return groups


def _affected_lines(affected: Mapping[str, Affected]) -> list[Any]:
    from rich.text import Text

    if not affected:
        return [Text("  nothing was made from it", style="dim")]
    lines = [Text(f"  downstream of it: {len(affected)} document{'' if len(affected) == 1 else 's'}")]
    shown = [affected[id_] for id_ in sorted(affected)][:_AFFECTED_SHOWN]
    lines += [Text(f"    {one.id}  {one.summary}") for one in shown]
    if len(affected) > len(shown):
        lines.append(
            Text(
                f"    and {len(affected) - len(shown)} more; `--json` lists all, `lipsdb lineage ID --down` draws them"
            )
        )
    return lines


def _looked_at(report: AuditReport) -> str:
    """As '16307 labels, 2 datasets, 40 artifacts (12.3 MB), 40000 links, 20 launches'."""
    counts = report.counts
    parts = [f"{counts[name]} {name}" for name in COLLECTIONS.values() if counts.get(name)]
    if counts.get("artifacts"):
        parts.append(f"{counts['artifacts']} artifacts ({counts.get('artifact bytes', 0) / 1e6:.1f} MB)")
    parts += [
        f"{counts[name]} {name}" for name in ("links", "external links", "fireworks", "launches") if counts.get(name)
    ]
    return f"Looked at {', '.join(parts) or 'an empty database'}."
