"""Watch a running simulation through the tail of its log, and tell when it has left what is physical."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import RefusedError
from lipsdb.md.settings import MDSettings
from lipsdb.md.thermo import COLUMNS, column_names, parse_rows

#: A temperature above this multiple of the target is running away.
TEMPERATURE_LIMIT_FACTOR = 5.0
#: A pressure beyond ± this value (bar; 100 GPa) is running away.
PRESSURE_LIMIT_BAR = 1e6
#: A volume that has grown or shrunk by this factor since the start is running away.
VOLUME_LIMIT_FACTOR = 3.0


class ThermoMonitor:
    """Reads what a log has gained since the last look, and checks the new rows of thermo output.

    Parameters
    ----------
    path : Path
        The log that LAMMPS is writing.
    settings : MDSettings
        What was asked for; gives the limits.
    first_volume : float
        Volume of the starting structure, Å³.

    Attributes
    ----------
    last_step : int or None
        Step of the newest row seen.
    """

    def __init__(self, path: Path, settings: MDSettings, first_volume: float) -> None:
        self._path = path
        self._settings = settings
        self._offset = 0
        self._partial = b""
        self._names: list[str] = []
        self._first_volume = first_volume
        self.last_step: int | None = None

    def poll(self) -> None:
        """Look at the new part of the log.

        Raises
        ------
        RefusedError
            If a new row holds NaN, or temperature, pressure or volume beyond its limit; names the step.
        """
        if not self._path.exists():
            return
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            new = stream.read()
        self._offset += len(new)
        whole, newline, rest = (self._partial + new).rpartition(b"\n")
        self._partial = rest
        if not newline:
            return
        # errors=replace: a log may quote file names in any encoding.
        text = whole.decode("utf-8", errors="replace") + "\n"
        at = text.find("keywords: [")
        if at >= 0:
            self._names = column_names(text[at : text.index("\n", at)])
        if self._names:
            rows = parse_rows(text, len(self._names))
            if len(rows):
                check_thermo(dict(zip(self._names, rows.T, strict=True)), self._settings, self._first_volume)
                self.last_step = int(rows[-1, self._names.index("step")])


def check_thermo(
    columns: Mapping[str, NDArray[np.float64] | NDArray[np.int64]], settings: MDSettings, first_volume: float
) -> None:
    """Refuse thermo rows that are not physical.

    Parameters
    ----------
    columns : mapping of str to (n_rows,) array
        At least ``step``, ``temperature`` (K), ``total_energy`` (eV), ``pressure`` (bar) and ``volume`` (Å³).
    settings : MDSettings
        What was asked for; gives the limit of temperature.
    first_volume : float
        Volume of the starting structure, Å³.

    Raises
    ------
    RefusedError
        At the first row that holds NaN, or temperature, pressure or volume beyond its limit.
    """
    limit = TEMPERATURE_LIMIT_FACTOR * settings.temperature_K
    growth = columns["volume"] / first_volume
    failures = [(~np.isfinite(values), name, "a finite number") for name, values in columns.items()]
    failures += [
        (
            columns["temperature"] > limit,
            "temperature",
            f"under {limit:g} K ({TEMPERATURE_LIMIT_FACTOR:g} times the target)",
        ),
        (np.abs(columns["pressure"]) > PRESSURE_LIMIT_BAR, "pressure", f"within ±{PRESSURE_LIMIT_BAR:g} bar"),
        (
            (growth > VOLUME_LIMIT_FACTOR) | (growth < 1 / VOLUME_LIMIT_FACTOR),
            "volume",
            f"within a factor {VOLUME_LIMIT_FACTOR:g} of the {first_volume:g} Å³ at the start",
        ),
    ]
    units = dict(COLUMNS.values())
    for failed, name, allowed in failures:
        if failed.any():
            row = int(np.argmax(failed))
            raise RefusedError(
                f"simulation ran away at step {int(columns['step'][row])}: {name.replace('_', ' ')} "
                f"{columns[name][row]:g} {units.get(name, '')}, allowed is {allowed}; "
                "check the potential on this system, or take a shorter timestep"
            )
