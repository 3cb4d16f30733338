"""Labels from trees of DeePMD-kit npy folders."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lipsdb.documents.label import LabelOrigin, geometry_digest
from lipsdb.errors import BadInputError, LipsdbError
from lipsdb.provenance.canonical import encode
from lipsdb.provenance.machine import Stopwatch, versions_of
from lipsdb.provenance.sealing import seal
from lipsdb.published import system_of_formula
from lipsdb.store.database import Database
from lipsdb.structures.composition import formula
from lipsdb.structures.distances import closest_pairs_below

MINIMUM_DISTANCE_A = 0.4
_BATCH = 500


@dataclass(frozen=True)
class Frames:
    """The labelled frames of one folder; all have the same atoms."""

    numbers: np.ndarray  # (n_atoms,)
    positions: np.ndarray  # (n_frames, n_atoms, 3) Å
    cells: np.ndarray  # (n_frames, 3, 3) Å
    energies: np.ndarray  # (n_frames,) eV
    forces: np.ndarray  # (n_frames, n_atoms, 3) eV/Å
    virials: np.ndarray | None  # (n_frames, 3, 3) eV


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


def find_folders(root: Path) -> list[Path]:
    """Find the DeePMD system folders at or below a folder: those with ``type.raw`` or a ``set.*`` folder."""
    if not root.is_dir():
        raise BadInputError(
            f"{root} is not a folder; give the folder that holds DeePMD npy data (type.raw, set.000/ …)"
        )
    found = {path.parent for pattern in ("type.raw", "set.*/") for path in root.rglob(pattern)}
    if not found:
        raise BadInputError(
            f"no DeePMD npy data below {root}; expected folders with type.raw, type_map.raw and set.000/"
        )
    return sorted(found)


def _load(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Load one array of one set as float64 with the shape it must have (-1: number of frames)."""
    if not path.is_file():
        raise BadInputError(f"{path.parent.name}/{path.name} is missing")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise BadInputError(f"{path.parent.name}/{path.name} is not a NumPy array: {error}") from error
    if not np.issubdtype(array.dtype, np.number):
        raise BadInputError(f"{path.parent.name}/{path.name} holds {array.dtype}, not numbers")
    per_frame = int(np.prod(shape[1:], dtype=int))
    n_frames = len(array) if array.ndim else 0
    if array.ndim == 0 or array.size != n_frames * per_frame or array.ndim not in {1, 2, len(shape)}:
        raise BadInputError(
            f"{path.parent.name}/{path.name} has shape {array.shape}; expected (n_frames, {per_frame}) for these atoms"
        )
    return np.ascontiguousarray(array, dtype=np.float64).reshape(n_frames, *shape[1:])


def read_folder(folder: Path) -> Frames:
    """Read a DeePMD npy folder.

    Parameters
    ----------
    folder : Path
        With ``type.raw``, ``type_map.raw`` and ``set.*/{coord,box,energy,force}.npy``, ``virial.npy`` if there is one;
        eV, Å, eV/Å; virial in eV, W = −dE/dε.

    Returns
    -------
    Frames
        Of all sets, in order.

    Raises
    ------
    BadInputError
        Names the file and what is wrong with it.
    """
    from ase.data import atomic_numbers

    for name in ("type.raw", "type_map.raw"):
        if not (folder / name).is_file():
            raise BadInputError(f"{name} is missing")
    symbols = (folder / "type_map.raw").read_text().split()
    unknown = [symbol for symbol in symbols if symbol not in atomic_numbers or symbol == "X"]
    if unknown:
        raise BadInputError(f"type_map.raw names {unknown[0]!r}, which is no element")
    try:
        types = np.array((folder / "type.raw").read_text().split(), dtype=int)
    except ValueError as error:
        raise BadInputError(f"type.raw does not hold integers: {error}") from error
    if not types.size or types.min() < 0 or types.max() >= len(symbols):
        raise BadInputError(f"type.raw must hold indices from 0 to {len(symbols) - 1}, for {' '.join(symbols)}")
    n = types.size
    sets = sorted(path for path in folder.glob("set.*") if path.is_dir())
    if not sets:
        raise BadInputError("no set.000 folder")
    columns: dict[str, list[np.ndarray]] = {"coord": [], "box": [], "energy": [], "force": [], "virial": []}
    shapes = {"coord": (-1, n, 3), "box": (-1, 3, 3), "energy": (-1,), "force": (-1, n, 3), "virial": (-1, 3, 3)}
    with_virial = (sets[0] / "virial.npy").exists()
    for set_ in sets:
        arrays = {
            name: _load(set_ / f"{name}.npy", shape)
            for name, shape in shapes.items()
            if name != "virial" or with_virial
        }
        lengths = {name: len(array) for name, array in arrays.items()}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise BadInputError(f"the arrays of {set_.name} have different numbers of frames ({counts})")
        for name, array in arrays.items():
            columns[name].append(array)
    joined = {name: np.concatenate(parts) if parts else None for name, parts in columns.items()}
    numbers = np.array([atomic_numbers[symbol] for symbol in symbols], dtype="u1")[types]
    return Frames(
        numbers,
        joined["coord"],
        joined["box"],
        joined["energy"],
        joined["force"],
        joined["virial"],  # type: ignore[arg-type]
    )


def check_frames(frames: Frames, force_limit_eV_A: float) -> None:
    """Refuse frames that cannot be right.

    Raises
    ------
    BadInputError
        For no frames, NaN or infinite numbers, a flat cell, atoms closer than 0.4 Å, or forces above the limit; names
        the first such frame.
    """
    if not len(frames.energies):
        raise BadInputError("there are no frames")
    arrays = {"coord": frames.positions, "box": frames.cells, "energy": frames.energies, "force": frames.forces}
    if frames.virials is not None:
        arrays["virial"] = frames.virials
    for name, array in arrays.items():
        bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if bad.any():
            raise BadInputError(f"{name} of frame {np.argmax(bad)} is not finite ({bad.sum()} such frames)")
    volumes = np.abs(np.linalg.det(frames.cells))
    if (volumes < 1e-3).any():
        raise BadInputError(f"box of frame {np.argmax(volumes < 1e-3)} has no volume; periodic cells are needed")
    largest = np.sqrt((frames.forces**2).sum(axis=2).max(axis=1))
    if (largest > force_limit_eV_A).any():
        frame = int(np.argmax(largest > force_limit_eV_A))
        raise BadInputError(
            f"frame {frame} has a force of {largest[frame]:.1f} eV/Å, above the limit of {force_limit_eV_A:g} eV/Å "
            "(--force-limit)"
        )
    shortest = closest_pairs_below(frames.positions, frames.cells, MINIMUM_DISTANCE_A)
    if np.isfinite(shortest).any():
        frame = int(np.argmax(np.isfinite(shortest)))
        raise BadInputError(
            f"frame {frame} has atoms {shortest[frame]:.2f} Å apart; at least {MINIMUM_DISTANCE_A} Å is expected"
        )


def origin_of(folder: Path, root: Path, source: str, composition: str) -> tuple[str, LabelOrigin]:
    """Read system, iteration and temperature off a folder's name.

    DP-GEN's layout ``iter.000000/02.fp/data.000`` gives the iteration; otherwise the system is the nearest folder that is
    neither a temperature (``3000K``), nor a composition, nor a bare number.
    """
    relative = folder.relative_to(root) if folder != root else Path(folder.name)
    parts = (root.name, *relative.parts) if folder != root else (folder.name,)
    iterations = [int(match[1]) + 1 for part in parts if (match := re.fullmatch(r"iter\.(\d+)", part))]
    temperatures = [float(match[1]) for part in parts if (match := re.fullmatch(r"(\d+(?:\.\d+)?)K", part))]
    plain = re.compile(
        r"(data|set|task|sys|iter)?[._]?\d*(\.fp)?|\d+(\.\d+)?K|([A-Z][a-z]?\d+)+|data\.(init|iters)|init_data"
    )
    named = [part for part in parts[1 if len(parts) > 1 else 0 :] if not plain.fullmatch(part)]
    elemental = [part for part in parts[1:-1] if re.fullmatch(r"([A-Z][a-z]?\d*)+", part)]
    if iterations:
        system = system_of_formula(composition) or composition
    else:
        system = named[-1] if named else (elemental[-1] if elemental else composition)
    return system, LabelOrigin(
        source=source,
        folder=relative.as_posix(),
        frame=0,
        trajectory=not iterations,
        iteration=iterations[-1] if iterations else None,
        temperatures_K=temperatures,
        pressures_bar=[],
    )


def label_documents(
    frames: Frames,
    system: str,
    origin: LabelOrigin,
    level_of_theory: str,
    made_by: dict[str, Any],
    campaigns: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """Make the sealed label documents of one folder, one a frame."""
    composition, where = formula(frames.numbers), origin.model_dump()
    largest = np.sqrt((frames.forces**2).sum(axis=2).max(axis=1))
    numbers = encode(frames.numbers)[0]
    for index in range(len(frames.energies)):
        positions, cell = frames.positions[index], frames.cells[index]
        answer = {
            "system": system,
            "formula": composition,
            "n_atoms": len(frames.numbers),
            "numbers": numbers,
            "positions": positions,
            "cell": cell,
            "energy_eV": float(frames.energies[index]),
            "forces": frames.forces[index],
            "virial": None if frames.virials is None else frames.virials[index],
            "max_force_eV_A": float(largest[index]),
            "origin": {**where, "frame": index},
        }
        asked = {"geometry": geometry_digest(frames.numbers, positions, cell), "level_of_theory": level_of_theory}
        yield seal("label", asked, [], answer, made_by, campaigns)


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
    watch = Stopwatch("ingest")
    made_by = watch.made_by(versions_of("pymongo")).model_dump()
    folders = find_folders(root)
    summary = IngestSummary()
    with _Writer(database) as writer:
        for count, folder in enumerate(folders, 1):
            outcome = FolderOutcome(folder.relative_to(root).as_posix())
            try:
                frames = read_folder(folder)
                check_frames(frames, force_limit_eV_A)
                composition = formula(frames.numbers)
                system, origin = origin_of(folder, root, source, composition)
                outcome.system, outcome.formula, outcome.n_frames = system, composition, len(frames.energies)
                batch: list[dict[str, Any]] = []
                for document in label_documents(frames, system, origin, level_of_theory, made_by, campaigns):
                    batch.append(document)
                    if len(batch) == _BATCH:
                        writer.put(batch, outcome)
                        batch = []
                writer.put(batch, outcome)
            except LipsdbError as error:
                outcome.refused = str(error)
            summary.folders.append(outcome)
            if progress is not None:
                progress(outcome, count, len(folders))
    return summary


class _Writer:
    """Writes batches in a thread of its own, so that the server works while the next batch is hashed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: queue.Queue[tuple[list[dict[str, Any]], FolderOutcome] | None] = queue.Queue(maxsize=4)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is None:
                try:
                    item[1].n_new += self._database.insert_many(item[0])
                except BaseException as error:
                    self._error = error

    def put(self, batch: list[dict[str, Any]], outcome: FolderOutcome) -> None:
        if self._error is not None:
            raise self._error
        if batch:
            self._queue.put((batch, outcome))

    def __enter__(self) -> _Writer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._queue.put(None)
        self._thread.join()
        if self._error is not None and exception[0] is None:
            raise self._error
