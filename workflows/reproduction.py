"""Audit, level 'reproduction': a sample of properties and energies, computed again from what they were made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from pymongo.errors import ConnectionFailure

from lipsdb.errors import MissingProgramError
from lipsdb.potentials.engines import ENGINES, engine
from lipsdb.provenance.audit.findings import Progress, Survey
from lipsdb.provenance.canonical import decode_array, decoded
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.workflows.agreement import Comparison, compare
from lipsdb.workflows.performers import perform_again
from lipsdb.workflows.rebuild import version_changes
from lipsdb.workflows.tolerances import tolerances_for

if TYPE_CHECKING:
    from lipsdb.potentials.training_set import LabelledFrames
    from lipsdb.store.database import Database

CHECK = "reproduction"
MODEL_eV_PER_ATOM = 1e-6  # a network's single precision

Choice = tuple[str, int]  # a run and a frame, or a potential and the number of a held-out label


def check_reproduction(database: Database, survey: Survey, progress: Progress, *, sample: int, seed: int) -> None:
    """Compute some properties and energies again, and note those that come out otherwise.

    Parameters
    ----------
    database : Database
        Nothing is stored in it.
    survey : Survey
        Findings and counts go there.
    progress : callable
        Called with stage, how many are done, and how many there are.
    sample : int
        So many properties and classifiers, so many energies of trajectory frames, and so many of held-out labels.
    seed : int
        Chooses them: the same database and seed give the same sample.

    Notes
    -----
    Properties and classifiers are computed from the stored runs (an Arrhenius fit from the stored diffusion
    coefficients) and compared within the tolerances of `lipsdb.workflows.tolerances`. An energy is that of the stored
    potential for a frame of a stored trajectory, compared with the one that LAMMPS wrote in the run's thermo output at
    that step; or for a label that was held out of training, compared with the one that was stored with the potential.
    See `allowed_energy`.
    """
    generator = np.random.default_rng(seed)
    _check_properties(database, survey, progress, generator, sample)
    for what, choose, load in (
        ("energies of frames", _frames, _load_frames),
        ("energies of labels", _held_labels, _load_labels),
    ):
        available = choose(database, survey)
        chosen = _sample(generator, available, sample)
        progress(CHECK, 0, len(chosen))
        by_document: dict[str, list[int]] = {}
        for id_, number in chosen:
            by_document.setdefault(id_, []).append(number)
        for done, (id_, numbers) in enumerate(by_document.items()):
            try:
                potential, frames, recorded = load(database, id_, sorted(numbers))
                _check_energies(database, survey, (id_, what), potential, frames, recorded, sorted(numbers))
            except (ConnectionFailure, MissingProgramError, ImportError):
                raise
            except Exception as error:  # damage can take any form; each is a finding
                survey.error(CHECK, id_, f"{what} cannot be computed again: {_line(error)}")
            progress(CHECK, done + 1, len(by_document))


def allowed_energy(positions: np.ndarray, forces: np.ndarray) -> float:
    """How much the energy of a frame may differ from the one recorded when it was written, eV/atom.

    Parameters
    ----------
    positions : (n_atoms, 3) array, Å, as stored, unwrapped
    forces : (n_atoms, 3) array, eV/Å

    Notes
    -----
    Trajectories hold single-precision positions: each coordinate x is off by up to half the distance of two such
    numbers, ε(x)/2, which changes the energy by up to |F| ε(x)/2. Their sum is an upper bound to first order. To it
    comes 1e-6 eV/atom for the single precision of the network.

    Examples
    --------
    >>> f"{allowed_energy(np.full((1, 3), 10.0), np.ones((1, 3))):.3g}"
    '2.43e-06'
    """
    rounding = np.abs(forces) * np.spacing(np.abs(positions).astype(np.float32)).astype(float) / 2
    return MODEL_eV_PER_ATOM + float(rounding.sum()) / len(positions)


def _sample(generator: np.random.Generator, available: Sequence[Any], n: int) -> list[Any]:
    chosen = generator.choice(len(available), size=min(n, len(available)), replace=False)
    return [available[int(number)] for number in np.sort(chosen)]


def _in_scope(survey: Survey, ids: Iterable[str]) -> list[str]:
    return sorted(id_ for id_ in ids if survey.scope is None or id_ in survey.scope)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


# ---------------------------------------------------------------- properties


def _check_properties(
    database: Database, survey: Survey, progress: Progress, generator: np.random.Generator, sample: int
) -> None:
    names = (COLLECTIONS["property"], COLLECTIONS["classifier"])
    ids = _in_scope(survey, (entry["_id"] for name in names for entry in database.query(name, None, ["_id"])))
    chosen = _sample(generator, ids, sample)
    documents = chain(*(database.query(name, {"_id": {"$in": chosen}}, None, {"_id": 1}) for name in names))
    for done, document in enumerate(documents):
        progress(CHECK, done, len(chosen))
        _check_property(database, survey, document)
    progress(CHECK, len(chosen), len(chosen))


def _check_property(database: Database, survey: Survey, document: Mapping[str, Any]) -> None:
    id_ = str(document["_id"])
    try:
        needed = [link["id"] for link in document["inputs"]]
        missing = sorted(set(needed) - database.known(needed).keys())
        if missing:
            what = f"made from {len(missing)} documents that are not here ({missing[0]} …)"
            survey.note(CHECK, id_, f"not computed again: {what}")
            return
        with TemporaryDirectory(prefix="lipsdb-reproduction-") as folder:
            place = Path(folder) / id_
            place.mkdir()
            made = perform_again(database, document, {}, place)[0]
        compared = compare(tolerances_for(document), document, made)
    except (ConnectionFailure, MissingProgramError, ImportError):
        raise
    except Exception as error:  # damage can take any form; each is a finding
        survey.error(CHECK, id_, f"cannot be computed again: {_line(error)}")
        return
    survey.counts[f"{COLLECTIONS[document['kind']]} computed again"] += 1
    if made["_id"] != id_:
        survey.error(CHECK, id_, f"this version computes {made['_id']} in its place")
    elif compared.outcome == "different":
        survey.error(CHECK, id_, _difference(compared, version_changes(document["made_by"], made["made_by"])))


def _difference(compared: Comparison, versions: Mapping[str, tuple[str | None, str | None]]) -> str:
    changes = ", ".join(f"{name} {then} → {now}" for name, (then, now) in versions.items()) or "the same versions"
    found = compared.largest
    if found is None:
        return f"comes out otherwise; {changes}"
    how = "" if np.isinf(found.ratio) else f", {found.ratio:.3g} times what is allowed"
    return f"comes out otherwise: {found.field} is {found.before}, computed again {found.after}{how}; {changes}"


# ---------------------------------------------------------------- energies


def _frames(database: Database, survey: Survey) -> list[Choice]:
    """Frames of runs with a potential that can be evaluated, at whose step there is thermo output."""
    potentials = _potentials(database)
    runs = database.query(
        "runs",
        {"asked.program": "lammps"},
        ["inputs", "answer.n_frames", "asked.settings.dump_interval", "asked.settings.thermo_interval"],
        {"_id": 1},
    )
    found: list[Choice] = []
    for run in runs:
        linked = {link["id"] for link in run["inputs"] if link["role"] == "potential"}
        if not linked <= potentials.keys() or not linked or _in_scope(survey, [run["_id"]]) == []:
            continue
        settings = run["asked"]["settings"]
        dump, thermo = int(settings["dump_interval"]), int(settings["thermo_interval"])
        found += [(run["_id"], i) for i in range(int(run["answer"]["n_frames"])) if i * dump % thermo == 0]
    return found


def _potentials(database: Database) -> dict[str, str]:
    """Potentials that can be evaluated, with their datasets."""
    found = database.query("potentials", {"asked.engine": {"$in": sorted(ENGINES)}}, ["inputs"])
    return {one["_id"]: next((link["id"] for link in one["inputs"]), "") for one in found}


def _load_frames(database: Database, id_: str, numbers: Sequence[int]) -> tuple[str, list[LabelledFrames], np.ndarray]:
    """Potential, frames (each by itself), and the energies that LAMMPS recorded (eV)."""
    from lipsdb.workflows.runs import load_run

    document = database.find(id_)
    run = load_run(database, id_, stopped=True)
    thermo = decoded(document["answer"]["thermo"])
    settings = document["asked"]["settings"]
    row_of = {int(step): row for row, step in enumerate(thermo["step"])}
    rows = [row_of[number * int(settings["dump_interval"])] for number in numbers]
    recorded = np.asarray(thermo["potential_energy"], dtype=float)[rows]
    potential = next(link["id"] for link in document["inputs"] if link["role"] == "potential")
    frames = [_one_frame(run.numbers, run.positions[i], run.cell[i]) for i in numbers]
    return potential, frames, recorded


def _held_labels(database: Database, survey: Survey) -> list[Choice]:
    """Labels that were held out of the training of potentials here, where all of those are here."""
    potentials = {id_: dataset for id_, dataset in _potentials(database).items() if _in_scope(survey, [id_])}
    found: list[Choice] = []
    for dataset in database.query("datasets", {"_id": {"$in": sorted(set(potentials.values()))}}, None, {"_id": 1}):
        held = _held(dataset)
        if held and len(database.existing("label", held)) == len(held):
            users = sorted(id_ for id_, its in potentials.items() if its == dataset["_id"])
            found += [(id_, i) for id_ in users for i in range(len(held))]
    return found


def _held(dataset: Mapping[str, Any]) -> list[str]:
    ids = [link["id"] for link in dataset["inputs"] if link["role"] == "label"]
    return [id_ for id_, out in zip(ids, decode_array(dataset["answer"]["held"]), strict=True) if out]


def _load_labels(database: Database, id_: str, numbers: Sequence[int]) -> tuple[str, list[LabelledFrames], np.ndarray]:
    """The potential itself, frames (each by itself), and the energies that were stored with it (eV)."""
    from lipsdb.workflows.labels import frames_by_system, load_labels

    document = database.find(id_)
    dataset = database.find(document["inputs"][0]["id"])
    ids = _held(dataset)
    labels = load_labels(database, ids)
    systems = frames_by_system([labels[one] for one in ids])
    order = [(name, i) for name in sorted(systems) for i in range(systems[name].n_frames)]  # as the parity has them
    stored = decode_array(document["answer"]["parity"]["energy_potential"])
    frames, recorded = [], []
    for number in numbers:
        name, i = order[number]
        frames.append(systems[name].select([i]))
        recorded.append(float(stored[number]) * systems[name].n_atoms)
    return id_, frames, np.array(recorded)


def _one_frame(numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray) -> LabelledFrames:
    """A frame as it is stored, without labels."""
    from lipsdb.potentials.training_set import LabelledFrames

    return LabelledFrames(numbers, positions[None], cell[None], np.zeros(1), np.zeros((1, *positions.shape)))


def _check_energies(
    database: Database,
    survey: Survey,
    what: tuple[str, str],
    potential: str,
    frames: Sequence[LabelledFrames],
    recorded: np.ndarray,
    numbers: Sequence[int],
) -> None:
    id_, counted = what
    stored = database.find(potential)
    model = stored["answer"]["model"]
    with TemporaryDirectory(prefix="lipsdb-reproduction-") as folder:
        path = database.artifacts.save(model["sha256"], Path(folder) / Path(model["name"]).name)
        systems = {str(number): _wrapped(frame) for number, frame in zip(numbers, frames, strict=True)}
        predictions = engine(stored["asked"]["engine"]).evaluate(path, systems)
    for number, frame, before in zip(numbers, frames, recorded, strict=True):
        found = predictions[str(number)]
        difference = abs(float(found.energies[0]) - float(before)) / frame.n_atoms
        allowed = allowed_energy(frame.positions[0], found.forces[0])
        survey.counts[f"{counted} computed again"] += 1
        if not difference <= allowed:
            which = "frame" if id_ != potential else "held-out label"
            survey.error(
                CHECK,
                id_,
                f"the energy of {which} {number} is recorded as {before:.6f} eV, {potential} gives "
                f"{float(found.energies[0]):.6f} eV: {1e3 * difference:.4g} meV/atom apart, allowed are "
                f"{1e3 * allowed:.2g} meV/atom",
            )


def _wrapped(frames: LabelledFrames) -> LabelledFrames:
    """The same frames with their atoms in the cell."""
    from dataclasses import replace

    fractional = frames.positions @ np.linalg.inv(frames.cells)
    return replace(frames, positions=(fractional - np.floor(fractional)) @ frames.cells)
