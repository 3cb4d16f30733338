"""Aggregation pipelines that become typed rows, tables, figures and a report."""

from __future__ import annotations

if __name__ != "lipsdb.queries":
    raise ImportError(f"import this package as lipsdb.queries, not as {__name__}: the package is one under that name")
