"""The learning curve (lcurve.out) of ``dp train``: reading it, and keeping it whole across restarts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def columns_of(text: str) -> list[str]:
    """Names of the columns, from the first header line; empty if there is none yet."""
    header = next((line for line in text.splitlines(keepends=True) if line.startswith("#")), "")
    return header[1:].split() if header.endswith("\n") else []


def complete_rows(text: str) -> list[list[float]]:
    """Rows that were written to their end (a killed program may leave half a row)."""
    width = len(columns_of(text))
    rows = (line.split() for line in text.splitlines(keepends=True) if line.endswith("\n") and not line.startswith("#"))
    return [[float(field) for field in row] for row in rows if width and len(row) == width]


def read_learning_curve(path: Path) -> dict[str, NDArray[np.float64]]:
    """Columns of a learning curve: step, lr, rmse (of the loss), rmse_e (eV/atom), rmse_f (eV/Å), rmse_v (eV/atom).

    The names end in _val for held-out and _trn for training batches where there are held-out systems.
    """
    text = path.read_text()
    columns = columns_of(text)
    rows = np.array(complete_rows(text), dtype=np.float64).reshape(-1, len(columns))
    return {name: rows[:, i].copy() for i, name in enumerate(columns)}


def drop_rows_from(path: Path, step: int) -> None:
    """Drop the rows of `step` and later ones, half-written rows and repeated headers.

    A training that is restarted from the checkpoint of `step` writes a header and the row of that step again.
    """
    text = path.read_text() if path.exists() else ""
    lines = text.splitlines(keepends=True)
    headers = list(dict.fromkeys(line for line in lines if line.startswith("#") and line.endswith("\n")))
    width = len(columns_of(text))
    fields = ((line, line.split()) for line in lines if line.endswith("\n") and not line.startswith("#"))
    rows = [line for line, row in fields if width and len(row) == width and int(row[0]) < step]
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join([*headers, *rows]))
    os.replace(temporary, path)


def first_not_a_number(columns: Sequence[str], rows: Sequence[Sequence[float]]) -> tuple[int, str] | None:
    """Step and column of the first value that is not finite, or None.

    Virial columns are left out: they are NaN for batches without virial labels.
    """
    watched = [i for i, name in enumerate(columns) if not name.startswith("rmse_v_")]
    for row in rows:
        for i in watched:
            if not np.isfinite(row[i]):
                return int(row[0]), columns[i]
    return None
