"""Labels out, as DeePMD-kit folders, extended XYZ or MLIP ``.cfg`` files, or as a record with how they were made."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.errors import BadInputError, NotFoundError
from lipsdb.export.ase_files import write_extxyz, write_mlip_cfg
from lipsdb.export.deepmd import write_deepmd_systems
from lipsdb.export.record import export_record
from lipsdb.potentials.training_set import LabelledFrames
from lipsdb.provenance.canonical import decode_array
from lipsdb.store.database import Database

if TYPE_CHECKING:
    from lipsdb.provenance.withdrawal import Withdrawn

_BATCH = 2000
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_+.=-]+")


@dataclass(frozen=True)
class ExportedLabels:
    """What was written.

    Attributes
    ----------
    paths : list of Path
    n_labels : int
    elements : list of str
        Those of the types 0, 1 …, where the format has types.
    n_tainted : int
        Labels that match but stand on withdrawn documents; written all the same, unless they were to be left out.
    withdrawals : tuple of Withdrawn
        Of these documents.
    """

    paths: list[Path]
    n_labels: int
    elements: list[str]
    n_tainted: int = 0
    withdrawals: tuple[Withdrawn, ...] = ()


def export_labels(
    database: Database,
    folder: Path,
    format: str,
    *,
    systems: Sequence[str] = (),
    level_of_theory: str | None = None,
    dataset: str | None = None,
    campaign: str | None = None,
    exclude_tainted: bool = False,
) -> ExportedLabels:
    """Write the labels that match into a folder, by system.

    Parameters
    ----------
    database : Database
    folder : Path
        Created if needed.
    format : str
        'deepmd': a folder for each system and composition. 'extxyz' or 'cfg': a file for each system. 'record': one
        folder with the labels, what they were made from and all files, for another database to adopt.
    systems : sequence of str
        Names of the systems; all by default.
    level_of_theory : str, optional
        Needed where labels of several levels match; not for records, which keep them apart.
    dataset : str, optional
        Id of a dataset: its labels only.
    campaign : str, optional
        Labels that this campaign asked for only.
    exclude_tainted : bool
        Leave out labels that are withdrawn, or stand on withdrawn documents.

    Returns
    -------
    ExportedLabels

    Raises
    ------
    NotFoundError
        If no label matches, or all are left out.
    BadInputError
        If labels of several levels of theory match: their energies cannot be compared.

    Notes
    -----
    DeePMD folders have the numbers as they are stored. Text rounds them: extended XYZ gives positions and forces to
    5e-9, energy and virial in full; ``.cfg`` gives positions, cell and forces to 5e-7 and the virial to 5e-6 (Å, eV).
    """
    from ase.data import chemical_symbols

    writers = _writers()
    if format not in {*writers, "record"}:
        raise BadInputError(f"{format!r} is not a format of labels; use one of: {', '.join(writers)}, record")
    criteria = _criteria(database, systems, level_of_theory, dataset, campaign)
    found = _matching(database, criteria)
    if not found:
        raise NotFoundError(
            f"no labels match ({_told(criteria)}); `lipsdb query labels --by system` shows what there is"
        )
    missing = sorted(set(systems) - {label["origin"]["system"] for label in found})
    if missing:
        raise NotFoundError(f"no labels of {missing[0]!r} match; `lipsdb query labels --by system` shows what there is")
    tainted, withdrawals = _tainted(database, found)
    if exclude_tainted:
        found = [label for label in found if label["_id"] not in tainted]
    if not found:
        raise NotFoundError(
            f"all {len(tainted)} labels that match stand on withdrawn documents (`lipsdb list withdrawal`); choose "
            "others, or do without --exclude-tainted"
        )
    if format == "record":
        path = export_record(database, [label["_id"] for label in found], folder)
        return ExportedLabels([path], len(found), [], len(tainted), withdrawals)
    levels = sorted({label["asked"]["level_of_theory"] for label in found})
    if len(levels) > 1:
        raise BadInputError(
            f"the labels are of {len(levels)} levels of theory ({', '.join(levels)}), which do not go together; "
            "choose one with --level-of-theory"
        )
    parts = frames_of_labels(_with_answers(database, found))
    numbers = sorted({int(number) for _, frames in parts for number in frames.numbers})
    elements = [chemical_symbols[number] for number in numbers]
    folder.mkdir(parents=True, exist_ok=True)
    paths = writers[format](folder, parts, elements)
    return ExportedLabels(paths, len(found), elements, len(tainted), withdrawals)


def _tainted(database: Database, labels: Sequence[Mapping[str, Any]]) -> tuple[set[str], tuple[Withdrawn, ...]]:
    """Ids of the labels that stand on withdrawn documents, and the withdrawals of these."""
    from lipsdb.provenance.withdrawal import taint

    stands = taint(database)
    tainted = {label["_id"] for label in labels} & stands.origins.keys()
    return tainted, stands.of(*tainted)


Parts = Sequence[tuple[str, LabelledFrames]]


def _writers() -> dict[str, Callable[[Path, Parts, list[str]], list[Path]]]:
    return {
        "deepmd": _write_deepmd,
        "extxyz": partial(_write_files, write_extxyz, ".extxyz"),
        "cfg": partial(_write_files, write_mlip_cfg, ".cfg"),
    }


def _write_deepmd(folder: Path, parts: Parts, elements: list[str]) -> list[Path]:
    return write_deepmd_systems(folder, _named_apart(parts), elements=elements)


def _write_files(
    write: Callable[[Path, Sequence[LabelledFrames], Sequence[str]], None],
    suffix: str,
    folder: Path,
    parts: Parts,
    elements: list[str],
) -> list[Path]:
    by_system: dict[str, list[LabelledFrames]] = {}
    for system, frames in parts:
        by_system.setdefault(_file_name(system), []).append(frames)
    paths = [folder / f"{system}{suffix}" for system in by_system]
    for path, frames_of_system in zip(paths, by_system.values(), strict=True):
        write(path, frames_of_system, elements)
    return paths


def _criteria(
    database: Database,
    systems: Sequence[str],
    level_of_theory: str | None,
    dataset: str | None,
    campaign: str | None,
) -> dict[str, Any]:
    criteria: dict[str, Any] = {}
    if systems:
        criteria["origin.system"] = {"$in": list(systems)}
    if level_of_theory is not None:
        criteria["asked.level_of_theory"] = level_of_theory
    if campaign is not None:
        criteria["campaigns"] = campaign
    if dataset is not None:
        document = database.find(dataset)
        if document["kind"] != "dataset":
            raise BadInputError(f"{dataset} is a {document['kind']}; give the id of a dataset (`lipsdb list dataset`)")
        criteria["_id"] = {"$in": [link["id"] for link in document["inputs"] if link["collection"] == "labels"]}
    return criteria


def _told(criteria: Mapping[str, Any]) -> str:
    names = {"origin.system": "system", "asked.level_of_theory": "level of theory", "campaigns": "campaign"}
    told = [
        f"{name} {', '.join(value['$in']) if isinstance(value, dict) else value}"
        for key, name in names.items()
        if (value := criteria.get(key)) is not None
    ]
    return "; ".join([*told, *(["dataset"] if "_id" in criteria else [])]) or "the database has none"


def _matching(database: Database, criteria: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Labels without their numbers, in the order of their origin."""
    fields = ["origin.system", "origin.folder", "origin.frame", "asked.level_of_theory"]
    found = list(database.query("labels", criteria, fields))
    found.sort(key=lambda one: (one["origin"]["system"], one["origin"]["folder"], one["origin"]["frame"], one["_id"]))
    return found


def _with_answers(database: Database, found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    ids, answers = [one["_id"] for one in found], {}
    for start in range(0, len(ids), _BATCH):
        chosen = {"_id": {"$in": ids[start : start + _BATCH]}}
        answers.update({one["_id"]: one["answer"] for one in database.query("labels", chosen, ["answer"])})
    return [{**one, "answer": answers[one["_id"]]} for one in found]


def frames_of_labels(labels: Sequence[Mapping[str, Any]]) -> list[tuple[str, LabelledFrames]]:
    """Stack labels of one system with the same atoms; those with and without a virial stay apart.

    Parameters
    ----------
    labels : sequence of label documents
        In the order in which they are to stand.

    Returns
    -------
    list of pairs
        System and frames.
    """
    groups: dict[tuple[str, bytes, bool], list[Mapping[str, Any]]] = {}
    for label in labels:
        answer = label["answer"]
        numbers = decode_array(answer["numbers"]).astype("u1").tobytes()
        groups.setdefault((label["origin"]["system"], numbers, answer["virial"] is None), []).append(answer)

    def stacked(answers: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
        return np.stack([decode_array(answer[name]) for answer in answers])

    return [
        (
            system,
            LabelledFrames(
                numbers=decode_array(answers[0]["numbers"]).astype(np.int64),
                positions=stacked(answers, "positions"),
                cells=stacked(answers, "cell"),
                energies=np.array([answer["energy_eV"] for answer in answers]),
                forces=stacked(answers, "forces"),
                virials=None if without_virial else stacked(answers, "virial"),
            ),
        )
        for (system, _, without_virial), answers in groups.items()
    ]


def _file_name(system: str) -> str:
    return _NOT_IN_A_NAME.sub("_", system).lstrip(".-=") or "labels"


def _named_apart(parts: Parts) -> dict[str, LabelledFrames]:
    """Folder names: the system, with the composition and a number where it alone is not enough."""
    from lipsdb.structures.composition import formula

    n_parts = Counter(_file_name(system) for system, _ in parts)
    named: dict[str, LabelledFrames] = {}
    for system, frames in parts:
        name = _file_name(system)
        if n_parts[name] > 1:
            name = f"{name}-{formula(frames.numbers)}"
            n_same = sum(other == name or other.startswith(f"{name}.") for other in named)
            name = f"{name}.{n_same}" if n_same else name
        named[name] = frames
    return named
