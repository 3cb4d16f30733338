"""One HTML file that answers a campaign: numbers, figures, tables, and what each number was made from."""

from __future__ import annotations

from lipsdb.queries.report.write import write_report

__all__ = ["write_report"]
