"""Labels and refusals of the frames that were read, whatever the format: identities, gates, documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipsdb.documents.base import Input
from lipsdb.documents.label import LabelAsked, LabelOrigin, geometry_digest
from lipsdb.documents.level_of_theory import LevelOfTheoryAsked
from lipsdb.documents.refusal import Refusal, RefusalAsked
from lipsdb.errors import BadInputError, RefusedError
from lipsdb.ingest.frames import Fault, Frames, Reading, check_frames, sift_frames
from lipsdb.ingest.origin import folder_of, origin_of
from lipsdb.provenance.canonical import Encoded
from lipsdb.provenance.sealing import identity, seal
from lipsdb.store.database import Database
from lipsdb.structures.composition import formula

_BATCH = 500


@dataclass
class PartOutcome:
    """What became of the frames of one composition in a file or folder, or of all of it."""

    folder: str
    system: str = ""
    formula: str = ""
    n_frames: int = 0
    n_new: int = 0
    refused: str | None = None
    refused_frames: list[str] = field(default_factory=list)


@dataclass
class IngestSummary:
    """What was taken and what was not."""

    folders: list[PartOutcome] = field(default_factory=list)

    @property
    def n_new(self) -> int:
        """Labels that were not in the database before."""
        return sum(folder.n_new for folder in self.folders)

    @property
    def n_known(self) -> int:
        """Labels that were there already."""
        return sum(folder.n_frames - folder.n_new for folder in self.folders if folder.refused is None)

    @property
    def refused(self) -> list[PartOutcome]:
        """Files and folders that were refused as a whole."""
        return [folder for folder in self.folders if folder.refused is not None]

    @property
    def n_refused_frames(self) -> int:
        """Frames that were refused one by one."""
        return sum(len(folder.refused_frames) for folder in self.folders)


@dataclass(frozen=True)
class LabelFormat:
    """How labels of one format are found and read.

    Attributes
    ----------
    name : str
    find : callable
        From the path that the user gave to the files or folders to read, in order.
    read : callable
        From one of them to its `Reading`; raises BadInputError or RefusedError.
    frame_by_frame : bool
        Whether a bad frame is refused alone; otherwise all of the file is.
    """

    name: str
    find: Callable[[Path], list[Path]]
    read: Callable[[Path], Reading]
    frame_by_frame: bool = True


@dataclass(frozen=True)
class LabelsOfFrames:
    """Frames with what their labels share, ready to become documents."""

    frames: Frames
    origin: LabelOrigin
    level: Input
    geometries: list[Encoded]
    asked: list[Encoded]  # of each frame's label
    ids: list[str]

    @classmethod
    def of(cls, frames: Frames, origin: LabelOrigin, level_of_theory: str, level: Input) -> LabelsOfFrames:
        """Work out the identities."""
        geometries = [
            Encoded.of(geometry_digest(frames.numbers, positions, cell))
            for positions, cell in zip(frames.positions, frames.cells, strict=True)
        ]
        shared = {
            key: Encoded.of(value) for key, value in LabelAsked(level_of_theory=level_of_theory).model_dump().items()
        }
        asked = [Encoded.mapping({**shared, "geometry": geometry}) for geometry in geometries]
        links = [level.model_dump()]
        return cls(frames, origin, level, geometries, asked, [identity("label", one, links) for one in asked])

    def documents(
        self, chosen: Sequence[int], made_by: Encoded, campaigns: Sequence[str] = ()
    ) -> Iterator[dict[str, Any]]:
        """Make the sealed documents of chosen frames."""
        frames, encoded, links = self.frames, Encoded.of, [self.level.model_dump()]
        shared = {
            "formula": encoded(formula(frames.numbers)),
            "n_atoms": encoded(len(frames.numbers)),
            "numbers": encoded(frames.numbers),
        }
        origin = {key: encoded(value) for key, value in self.origin.model_dump().items()}
        same_cell = encoded(frames.cells[0]) if (frames.cells == frames.cells[0]).all() else None
        places = frames.indices.tolist()
        for index in chosen:
            answer = {
                **shared,
                "geometry": self.geometries[index],
                "positions": encoded(frames.positions[index]),
                "cell": same_cell or encoded(frames.cells[index]),
                "energy_eV": encoded(float(frames.energies[index])),
                "forces": encoded(frames.forces[index]),
                "virial": encoded(None if frames.virials is None else frames.virials[index]),
            }
            where = Encoded.mapping({**origin, "frame": encoded(places[index])})
            yield seal("label", self.asked[index], links, Encoded.mapping(answer), made_by, campaigns, where)


@dataclass(frozen=True)
class Ingest:
    """How the files of one data set are read into labels."""

    format: LabelFormat
    root: Path
    asked_level: LevelOfTheoryAsked
    level: Input  # its document
    source: str
    system: str | None
    campaigns: tuple[str, ...]
    force_limit_eV_A: float
    made_by: Encoded

    @property
    def level_of_theory(self) -> str:
        """Name of the level of theory."""
        return self.asked_level.name

    def of(self, database: Database, path: Path) -> list[PartOutcome]:
        """Read, check and store one file or folder."""
        folder = folder_of(path, self.root)
        try:
            reading = self.format.read(path)
            if not reading.n_frames:
                raise BadInputError("there are no frames")
            if reading.check_level is not None and self.asked_level.settings:
                reading.check_level(self.asked_level)
        except (BadInputError, RefusedError) as error:
            reason = str(error).replace(str(path), path.name)  # no path of this machine in a document
            return [self._refused(database, folder, Fault(0, getattr(error, "gate", None) or "file", reason))]
        if not self.format.frame_by_frame:
            found = [fault for part in reading.frames if (fault := check_frames(part, self.force_limit_eV_A))]
            if found:
                return [self._refused(database, folder, found[0])]
        outcomes = [self._take(database, path, part, reading.n_frames > 1) for part in reading.frames]
        if reading.faults:
            origin = origin_of(path, self.root, self.source, "", self.system)
            outcomes.append(PartOutcome(origin.folder, origin.system))
            outcomes[-1].refused_frames = self._refuse_frames(database, origin, reading.faults)
        return outcomes

    def _take(self, database: Database, path: Path, frames: Frames, several: bool) -> PartOutcome:
        origin = origin_of(path, self.root, self.source, formula(frames.numbers), self.system)
        if path.is_file() and not several:
            origin = origin.model_copy(update={"trajectory": False})
        outcome = PartOutcome(origin.folder, origin.system, formula(frames.numbers))
        if self.format.frame_by_frame:
            everything = frames
            frames, faults = sift_frames(frames, self.force_limit_eV_A)
            outcome.refused_frames = self._refuse_frames(database, origin, faults, everything)
        outcome.n_frames = len(frames.energies)
        if not outcome.n_frames:
            return outcome
        labels = LabelsOfFrames.of(frames, origin, self.level_of_theory, self.level)
        known = _known(database, labels.ids)
        database.join_campaigns([id_ for id_ in labels.ids if id_ in known], self.campaigns)
        new = [index for index, id_ in enumerate(labels.ids) if id_ not in known]
        for start in range(0, len(new), _BATCH):
            chosen = new[start : start + _BATCH]
            outcome.n_new += database.insert_many(list(labels.documents(chosen, self.made_by, self.campaigns)))
        return outcome

    def _refused(self, database: Database, folder: str, fault: Fault) -> PartOutcome:
        """Refuse all of a file or folder."""
        origin = origin_of(self.root / folder, self.root, self.source, "", self.system)
        database.insert_many([self._refusal(origin.system, folder, None, None, fault)])
        return PartOutcome(folder, refused=fault.reason)

    def _refuse_frames(
        self, database: Database, origin: LabelOrigin, faults: Sequence[Fault], frames: Frames | None = None
    ) -> list[str]:
        ids: dict[int, str] = {}
        if frames is not None and faults:
            bad = frames.select(_positions_of(frames, faults))
            labels = LabelsOfFrames.of(bad, origin, self.level_of_theory, self.level)
            ids = dict(zip(bad.indices.tolist(), labels.ids, strict=True))
        faults = sorted(faults, key=lambda fault: fault.frame)
        database.insert_many(
            [self._refusal(origin.system, origin.folder, fault.frame, ids.get(fault.frame), fault) for fault in faults]
        )
        return [fault.reason for fault in faults]

    def _refusal(
        self, system: str, folder: str, frame: int | None, document: str | None, fault: Fault
    ) -> dict[str, Any]:
        asked = RefusalAsked(
            document=document,
            system=system,
            source=self.source,
            folder=folder,
            frame=frame,
            level_of_theory=self.level_of_theory,
        )
        answer = {"gate": fault.gate, "reason": fault.reason}
        return seal(Refusal.kind, asked.model_dump(), [self.level.model_dump()], answer, self.made_by, self.campaigns)


def _positions_of(frames: Frames, faults: Sequence[Fault]) -> Any:
    import numpy as np

    return np.flatnonzero(np.isin(frames.indices, [fault.frame for fault in faults]))


def _known(database: Database, ids: Sequence[str]) -> set[str]:
    """Those ids that exist; presumed to be none if neither the first, nor the middle, nor the last one does.

    A wrong guess costs time only: `insert_many` leaves what exists as it is.
    """
    if not database.existing("label", [ids[0], ids[len(ids) // 2], ids[-1]]):
        return set()
    return database.existing("label", ids)
