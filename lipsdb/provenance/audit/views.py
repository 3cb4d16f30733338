"""An audit's report as JSON and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lipsdb.provenance.audit.findings import Affected, AuditReport, Finding
from lipsdb.provenance.kinds import COLLECTIONS, counted

if TYPE_CHECKING:
    from rich.console import RenderableType

_AFFECTED_SHOWN = 12
_NOTES_SHOWN = 10


def as_json(report: AuditReport) -> dict[str, Any]:
    """An audit's report, complete, ready for `json.dumps`."""
    return {
        "passed": report.passed,
        "campaign": report.campaign,
        "levels": list(report.levels),
        "started_at": None if report.started_at is None else report.started_at.isoformat(),
        "record": None if report.record is None else report.record["id"],
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
        lines.append(Text(f"Audit passed ({', '.join(report.levels)}): no error, {n_notes}.", style="bold green"))
    else:
        what = "1 thing is" if n_damaged == 1 else f"{n_damaged} things are"
        affected = len({affected.id for finding in report.errors for affected in finding.downstream})
        verdict = f"Audit failed: {what} not as it should be, {affected} documents are downstream ({n_notes})."
        lines.append(Text(verdict, style="bold red"))
    if report.record is not None:
        lines.append(Text(f"Kept as {report.record['id']}.", style="dim"))
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
    """As '16307 labels, 2 datasets, 40 artifacts (12.3 MB), 20 launches, 40000 links'."""
    counts = report.counts
    parts = [counted(counts[name], name) for name in COLLECTIONS.values() if counts.get(name)]
    if counts.get("artifacts"):
        parts.append(f"{counts['artifacts']} artifacts ({counts.get('artifact bytes', 0) / 1e6:.1f} MB)")
    others = counts.keys() - {*COLLECTIONS.values(), "artifacts", "artifact bytes"}
    parts += [f"{counts[name]} {name}" for name in sorted(others) if counts[name]]
    return f"Looked at {', '.join(parts) or 'an empty database'}."
