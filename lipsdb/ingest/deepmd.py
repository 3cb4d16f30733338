"""Labels from trees of DeePMD-kit npy folders."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipsdb.documents.label import LabelOrigin, geometry_digest
from lipsdb.errors import BadInputError
from lipsdb.ingest.deepmd_folder import Frames, check_frames, find_folders, read_folder
from lipsdb.provenance.canonical import Encoded
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.provenance.sealing import identity, seal
from lipsdb.published import system_of_formula
from lipsdb.settings import Settings
from lipsdb.store.database import Database, connect
from lipsdb.structures.composition import formula

_BATCH = 500


@dataclass
class FolderOutcome:
    """What became of one folder."""

    folder: str
    system: str = ""
    formula: str = ""
    n_frames: int = 0
    n_new: int = 0
    refused: str | None = None


@dataclass
class IngestSummary:
    """What was taken and what was not."""

    folders: list[FolderOutcome] = field(default_factory=list)

    @property
    def n_new(self) -> int:
        """Labels that were not in the database before."""
        return sum(folder.n_new for folder in self.folders)

    @property
    def n_known(self) -> int:
        """Labels that were there already."""
        return sum(folder.n_frames - folder.n_new for folder in self.folders if folder.refused is None)

    @property
    def refused(self) -> list[FolderOutcome]:
        """Folders that were refused."""
        return [folder for folder in self.folders if folder.refused is not None]


_TEMPERATURE = re.compile(r"(\d+(?:\.\d+)?)K")
_COMPOSITION = re.compile(r"([A-Z][a-z]?\d+)+")
_SUBSTANCE = re.compile(r"([A-Z][a-z]?\d*)+")
# names that say how the data are kept, not what they are
_PLAIN = re.compile(
    r"(data|set|task|sys|iter)?[._]?\d*(\.fp)?|(data[._])?(init|iters)|init_data|deepmd|npy"
    r"|(train|training|valid|validation|test)([._]?(data|set))?"
)


def _says_nothing(name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in (_TEMPERATURE, _COMPOSITION, _PLAIN))


def _system_of_path(below: Sequence[str], root: str) -> str | None:
    """Name of the system by the folders below the root, nearest first; None if they do not tell."""
    named = [part for part in below if not _says_nothing(part)]
    substances = [part for part in below[:-1] if _SUBSTANCE.fullmatch(part)]
    if named or substances:
        return (named or substances)[-1]
    is_system = all(_TEMPERATURE.fullmatch(part) or _COMPOSITION.fullmatch(part) for part in below)
    tells = not _says_nothing(root) or (below and _SUBSTANCE.fullmatch(root))
    return root if is_system and tells else None


def origin_of(folder: Path, root: Path, source: str, composition: str) -> LabelOrigin:
    """Read system, iteration and temperature off the names of the folders.

    DP-GEN's layout ``iter.000000/02.fp/data.000`` gives the iteration; the composition then tells the system. Otherwise
    the system is the nearest folder whose name is no temperature (``3000K``), no composition (``Li24P8S32``), no
    number and none of the usual names (``data.000``, ``init_data``, ``train`` …); then the nearest formula above the
    data's own folder (``Li2P2S6/3000K/Li16P16S48``); then the composition.
    """
    root = root.absolute()
    below = folder.absolute().relative_to(root).parts
    parts = (root.name, *below)
    iterations = [int(match[1]) + 1 for part in parts if (match := re.fullmatch(r"iter\.(\d+)", part))]
    system = system_of_formula(composition) if iterations else _system_of_path(below, root.name)
    return LabelOrigin(
        system=system or composition,
        source=source,
        folder="/".join(below) or root.name,
        frame=0,
        trajectory=not iterations,
        iteration=iterations[-1] if iterations else None,
        temperatures_K=[float(match[1]) for part in parts if (match := _TEMPERATURE.fullmatch(part))],
        pressures_bar=[],
    )


@dataclass(frozen=True)
class FolderLabels:
    """The frames of one folder with what their labels share, ready to become documents."""

    frames: Frames
    origin: LabelOrigin
    asked: list[Encoded]  # of each frame's label
    ids: list[str]

    @classmethod
    def of(cls, frames: Frames, origin: LabelOrigin, level_of_theory: str) -> FolderLabels:
        """Work out the identities."""
        level = Encoded.of(level_of_theory)
        asked = [
            Encoded.mapping(
                {"geometry": Encoded.of(geometry_digest(frames.numbers, positions, cell)), "level_of_theory": level}
            )
            for positions, cell in zip(frames.positions, frames.cells, strict=True)
        ]
        return cls(frames, origin, asked, [identity("label", one, []) for one in asked])

    def documents(
        self, chosen: Sequence[int], made_by: Encoded, campaigns: Sequence[str] = ()
    ) -> Iterator[dict[str, Any]]:
        """Make the sealed documents of chosen frames."""
        frames, encoded = self.frames, Encoded.of
        shared = {
            "formula": encoded(formula(frames.numbers)),
            "n_atoms": encoded(len(frames.numbers)),
            "numbers": encoded(frames.numbers),
        }
        origin = {key: encoded(value) for key, value in self.origin.model_dump().items()}
        same_cell = encoded(frames.cells[0]) if (frames.cells == frames.cells[0]).all() else None
        for index in chosen:
            answer = {
                **shared,
                "positions": encoded(frames.positions[index]),
                "cell": same_cell or encoded(frames.cells[index]),
                "energy_eV": encoded(float(frames.energies[index])),
                "forces": encoded(frames.forces[index]),
                "virial": encoded(None if frames.virials is None else frames.virials[index]),
            }
            where = Encoded.mapping({**origin, "frame": encoded(index)})
            yield seal("label", self.asked[index], [], Encoded.mapping(answer), made_by, campaigns, where)


def ingest_deepmd(
    database: Database,
    root: Path,
    level_of_theory: str,
    *,
    source: str,
    campaigns: Sequence[str] = (),
    force_limit_eV_A: float = 50.0,
    progress: Callable[[FolderOutcome, int, int], None] | None = None,
) -> IngestSummary:
    """Read a tree of DeePMD npy folders into labels.

    Parameters
    ----------
    database : Database
        Where they go.
    root : Path
        Folder at or below which the data lie.
    level_of_theory : str
        Name of the level of theory that made them.
    source : str
        What the data set is: a DOI or a name.
    campaigns : sequence of str
        Campaigns that ask for these labels.
    force_limit_eV_A : float
        A folder with a larger force is refused.
    progress : callable, optional
        Called after each folder with its outcome, the folders done and their number.

    Returns
    -------
    IngestSummary
        A broken folder is refused with its reason; the others go in.
    """
    made_by = Encoded.of(Stopwatch("ingest").made_by(versions_of("pymongo")).model_dump())
    folders = find_folders(root)
    ingest = _FolderIngest(root, level_of_theory, source, tuple(campaigns), force_limit_eV_A, made_by)
    summary = IngestSummary()
    for outcome in _outcomes(database, ingest, folders):
        summary.folders.append(outcome)
        if progress is not None:
            progress(outcome, len(summary.folders), len(folders))
    return summary


def _outcomes(database: Database, ingest: _FolderIngest, folders: Sequence[Path]) -> Iterator[FolderOutcome]:
    """Outcomes in the order of the folders; several at a time where processes can be forked."""
    n_processes = min(os.cpu_count() or 1, len(folders))
    if n_processes == 1 or "fork" not in multiprocessing.get_all_start_methods():
        yield from (ingest.of(database, folder) for folder in folders)
        return
    fork = multiprocessing.get_context("fork")  # a fresh interpreter's imports would cost what it saves
    with ProcessPoolExecutor(n_processes, fork, _connect_process, (database.settings,)) as pool:
        yield from pool.map(_of_process, [(ingest, folder) for folder in folders])


_database_of_process: Database | None = None  # MongoDB's clients must not cross a fork


def _connect_process(settings: Settings) -> None:
    global _database_of_process  # noqa: PLW0603
    _database_of_process = connect(settings)


def _of_process(task: tuple[_FolderIngest, Path]) -> FolderOutcome:
    assert _database_of_process is not None
    return task[0].of(_database_of_process, task[1])


@dataclass(frozen=True)
class _FolderIngest:
    """How the folders of one tree are read into labels."""

    root: Path
    level_of_theory: str
    source: str
    campaigns: tuple[str, ...]
    force_limit_eV_A: float
    made_by: Encoded

    def of(self, database: Database, folder: Path) -> FolderOutcome:
        """Read, check and store one folder."""
        outcome = FolderOutcome(folder.relative_to(self.root).as_posix())
        try:
            frames = read_folder(folder)
            check_frames(frames, self.force_limit_eV_A)
        except BadInputError as error:
            outcome.refused = str(error)
            return outcome
        composition = formula(frames.numbers)
        origin = origin_of(folder, self.root, self.source, composition)
        outcome.system, outcome.formula, outcome.n_frames = origin.system, composition, len(frames.energies)
        labels = FolderLabels.of(frames, origin, self.level_of_theory)
        known = _known(database, labels.ids)
        database.join_campaigns([id_ for id_ in labels.ids if id_ in known], self.campaigns)
        new = [index for index, id_ in enumerate(labels.ids) if id_ not in known]
        for start in range(0, len(new), _BATCH):
            chosen = new[start : start + _BATCH]
            outcome.n_new += database.insert_many(list(labels.documents(chosen, self.made_by, self.campaigns)))
        return outcome


def _known(database: Database, ids: Sequence[str]) -> set[str]:
    """Those ids that exist; presumed to be none if neither the first, nor the middle, nor the last one does.

    A wrong guess costs time only: `insert_many` leaves what exists as it is.
    """
    if not database.existing("label", [ids[0], ids[len(ids) // 2], ids[-1]]):
        return set()
    return database.existing("label", ids)
