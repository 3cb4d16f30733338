"""Thermo output of LAMMPS (``thermo_modify line yaml``) as columns of numbers with their units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import RefusedError

#: LAMMPS' column name: our name and unit (``units metal``).
COLUMNS: Mapping[str, tuple[str, str]] = {
    "Step": ("step", "1"),
    "Time": ("time", "ps"),
    "Temp": ("temperature", "K"),
    "PotEng": ("potential_energy", "eV"),
    "KinEng": ("kinetic_energy", "eV"),
    "TotEng": ("total_energy", "eV"),
    "Econserve": ("conserved_energy", "eV"),
    "Press": ("pressure", "bar"),
    "Volume": ("volume", "Å³"),
    "Density": ("density", "g/cm³"),
    **{name: (name.lower(), "Å") for name in ("Lx", "Ly", "Lz", "Xy", "Xz", "Yz")},
    **{name: (name.lower(), "bar") for name in ("Pxx", "Pyy", "Pzz", "Pxy", "Pxz", "Pyz")},
}

_KEYWORDS = re.compile(r"^keywords: \[(.*?)\]\s*$", re.MULTILINE)
_ROW = re.compile(r"^  - \[(.*?),? *\]\s*?$", re.MULTILINE)


@dataclass(frozen=True)
class Thermo:
    """Rows of thermo output.

    Attributes
    ----------
    columns : mapping of str to (n_rows,) array
        Step, temperature, energies … by name; steps are integers.
    units : mapping of str to str
        Unit of each column.
    """

    columns: Mapping[str, NDArray[np.float64] | NDArray[np.int64]]
    units: Mapping[str, str]


def column_names(keywords_line: str) -> list[str]:
    """Our names for the columns of a ``keywords: ['Step', 'Temp', …]`` line.

    Examples
    --------
    >>> column_names("keywords: ['Step', 'Temp', 'c_mine', ]")
    ['step', 'temperature', 'c_mine']
    """
    match = _KEYWORDS.match(keywords_line)
    words = re.findall(r"'([^']*)'", match.group(1) if match else "")
    return [COLUMNS[word][0] if word in COLUMNS else word for word in words]


def parse_rows(text: str, n_columns: int) -> NDArray[np.float64]:
    """All whole rows ``  - [1, 2.0, …]`` in a piece of text; a torn last row is left out.

    Examples
    --------
    >>> parse_rows("  - [0, 80.5, ]\\nWARNING: noise\\n  - [1, nan, ]\\n  - [2, 8", 2)
    array([[ 0. , 80.5],
           [ 1. ,  nan]])
    """
    rows = _ROW.findall(text)
    if not rows:
        return np.empty((0, n_columns))
    values = np.array(", ".join(rows).split(", "), dtype=np.float64)
    if values.size != n_columns * len(rows):
        raise RefusedError(
            f"thermo output has rows of other than {n_columns} columns; the log is damaged, run the simulation again"
        )
    return values.reshape(len(rows), n_columns)


def parse_thermo(text: str) -> Thermo:
    """Thermo output of a LAMMPS log, or of the concatenated logs of a run and its continuations.

    Parameters
    ----------
    text : str
        Log(s), oldest first.

    Returns
    -------
    Thermo
        Rows by ascending step. A run that begins at step s replaces all rows from s on of the runs before it: they
        were computed by a process that was killed, and computed again.

    Raises
    ------
    RefusedError
        If there is no row, or the columns differ between runs.
    """
    headers = list(_KEYWORDS.finditer(text))
    names: list[str] = column_names(headers[0].group(0)) if headers else []
    units = {COLUMNS[word][0]: COLUMNS[word][1] for word in COLUMNS}
    kept = np.empty((0, len(names)))
    ends = [following.start() for following in headers[1:]] + [len(text)]
    for header, end in zip(headers, ends, strict=False):
        if column_names(header.group(0)) != names:
            raise RefusedError("thermo columns differ between parts of the log; read the parts one by one")
        rows = parse_rows(text[header.end() : end], len(names))
        if len(rows):
            kept = np.concatenate([kept[kept[:, names.index("step")] < rows[0, names.index("step")]], rows])
    if not len(kept):
        raise RefusedError("log holds no row of thermo output; the run stopped before its first step")
    columns: dict[str, NDArray[np.float64] | NDArray[np.int64]] = dict(zip(names, kept.T.copy(), strict=True))
    columns["step"] = columns["step"].astype(np.int64)
    return Thermo(columns=columns, units={name: units.get(name, "unknown") for name in names})
