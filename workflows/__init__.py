"""Makers that answer questions, and the campaigns that wire them to FireWorks workflows."""

from __future__ import annotations

if __name__ != "lipsdb.workflows":
    raise ImportError(
        f"import this package as lipsdb.workflows, not as {__name__}: module names are written into the database"
    )
