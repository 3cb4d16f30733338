"""What is recorded of a run of VASP: its files, its versions, its cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipsdb.documents.base import MadeBy
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Workplace

if TYPE_CHECKING:
    from lipsdb.dft.vasp.run import VaspRun


def put_files(place: Workplace, folders: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Store the files worth keeping of runs in these folders, by what stands behind their names; never POTCAR."""
    from lipsdb.dft.vasp.run import kept_files

    return [
        place.put_text(path, _named(name, mark))
        for mark, folder in folders.items()
        for name, path in kept_files(folder).items()
    ]


def _named(name: str, mark: str) -> str:
    """'OUTCAR' and '1' make 'OUTCAR-1', 'vasprun.xml' and '1' make 'vasprun-1.xml'."""
    path = Path(name)
    return f"{path.stem}-{mark}{path.suffix}" if mark else name


def record(place: Workplace, run: VaspRun, files: list[dict[str, Any]], *, n_steps: int | None = None) -> MadeBy:
    """The record of the work done here, which ended with this run; with `n_steps`, how many of them a second."""
    versions = versions_of("atomate2", "custodian", "pymatgen") | {"vasp": run.steps.version}
    versions |= {f"POTCAR {potcar.titel}": potcar.sha256 or "" for potcar in run.inputs.potcars}
    seconds = place.watch.seconds
    return place.watch.made_by(
        versions,
        files,
        executable="vasp",
        core_seconds=seconds * run.n_cores,
        rates={"steps_per_second": n_steps / seconds} if n_steps else {},
    )
