"""Rule on the units of labels: energies of all of them, on the server; arrays of a seeded sample."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.dft.result import EV_A3_IN_GPA, STRESS_LIMIT_GPa
from lipsdb.provenance.audit.reading import documents
from lipsdb.provenance.audit.rules.tally import ENERGY_PER_ATOM, Group, members
from lipsdb.provenance.audit.rules.units import LEAST_VOLUME_A3, array_of

if TYPE_CHECKING:
    from lipsdb.provenance.audit.findings import Progress, Survey
    from lipsdb.store.database import Database

ENERGY_SPREAD_eV = 15.0  # an atom, about the median of one composition at one level; hartree are off by far more
FORCE_LIMIT_eV_A = 1000.0  # twenty times what an ingest lets pass unless told otherwise
NEAREST = (0.3, 1.6)  # median nearest distance over the sum of covalent radii: nm are 0.1, bohr 1.9
_LEAST_ATOMS = 8  # fewer may be a molecule that is torn apart
_NOBLE = (2, 10, 18, 36, 54, 86)  # not bound by covalent radii
_CENTRES = 32  # atoms of a label whose neighbours are sought
_ARRAYS = ("numbers", "positions", "cell", "forces", "virial")


def check_energies(database: Database, survey: Survey, groups: Sequence[Group]) -> None:
    """Energies are finite, and those of one composition at one level of theory lie together.

    Parameters
    ----------
    database : Database
    survey : Survey
    groups : sequence of Group
        All labels, with the range of their energies per atom.
    """
    together: dict[tuple[str, str], list[Group]] = defaultdict(list)
    for group in groups:
        together[str(group.key["levels"]), str(group.key["formula"])].append(group)
        if group.n_odd:
            for label in members(database, survey, group, {"energy": ENERGY_PER_ATOM}):
                if label["energy"] is None:
                    fault = "units: its energy per atom is no finite number of eV; ingest or compute it again"
                    survey.error("rules", str(label["_id"]), fault)
    for alike in together.values():
        ends = [end for group in alike for end in (group.least, group.most) if end is not None]
        if ends and max(ends) - min(ends) > ENERGY_SPREAD_eV:
            _report_outliers(database, survey, alike)


def _report_outliers(database: Database, survey: Survey, alike: Sequence[Group]) -> None:
    found = [
        (str(label["_id"]), label["energy"])
        for group in alike
        for label in members(database, survey, group, {"energy": ENERGY_PER_ATOM})
        if label["energy"] is not None
    ]
    median = float(np.median([energy for _, energy in found]))
    for id_, energy in found:
        if abs(energy - median) > ENERGY_SPREAD_eV:
            survey.error(
                "rules",
                id_,
                f"units: {energy:.6g} eV an atom, the median of this composition and level of theory is {median:.6g}; "
                f"{ENERGY_SPREAD_eV:g} eV are allowed; see whether it is in eV, and ingest it again",
            )


def check_arrays(database: Database, survey: Survey, progress: Progress, n_labels: int, seed: int) -> None:
    """Cell, positions, forces and virial of a sample are finite and of a size that Å and eV have.

    Parameters
    ----------
    database : Database
    survey : Survey
        Counts the labels that were looked at.
    progress : callable
    n_labels : int
        At most so many.
    seed : int
        Of the choice. Ids are hashes: those that follow a random one in their order are a random sample.
    """
    fields = {"answer.n_atoms": 1, **{f"answer.{name}": 1 for name in _ARRAYS}}
    ids = _sample(database, survey, n_labels, seed)
    done = 0
    for label in documents(database, "label", set(ids), fields):
        for fault in faults_of_label(label):
            survey.error("rules", str(label["_id"]), f"units: {fault}; see whether it is in Å and eV, ingest it again")
        done += 1
        if done % 50 == 0:
            progress("rules: arrays of labels", done, len(ids))
    progress("rules: arrays of labels", done, done)
    survey.counts["labels whose arrays were checked"] = done


def _sample(database: Database, survey: Survey, n_labels: int, seed: int) -> list[str]:
    start = "label-" + np.random.default_rng(seed).bytes(12).hex()
    if survey.scope is not None:
        ids = sorted(id_ for id_ in survey.scope if id_.startswith("label-"))
        following = [id_ for id_ in ids if id_ >= start] + [id_ for id_ in ids if id_ < start]
        return following[:n_labels]
    collection = database.collection("labels")
    found: list[str] = []
    for part in ({"$gte": start}, {"$lt": start}):
        if len(found) < n_labels:
            cursor = collection.find({"_id": part}, {"_id": 1}).sort("_id", 1).limit(n_labels - len(found))
            found += [str(label["_id"]) for label in cursor]
    return found


def faults_of_label(label: Mapping[str, Any]) -> Iterator[str]:
    """What is not of the size that Å, eV/Å and eV have in one label, its arrays in their stored form."""
    answer = label.get("answer") or {}
    arrays = {name: array_of(answer[name]) for name in _ARRAYS if answer.get(name) is not None}
    found = {name: array for name, array in arrays.items() if array is not None}
    odd = [name for name, array in found.items() if not np.isfinite(array).all()]
    if odd:
        yield f"{' and '.join(odd)} not finite"
        return
    if {"numbers", "positions", "cell", "forces"} - set(found) or found["cell"].shape != (3, 3):
        return  # damaged: the check of contents tells
    n_atoms, volume = len(found["numbers"]), abs(float(np.linalg.det(found["cell"])))
    if volume / n_atoms < LEAST_VOLUME_A3:
        yield f"{volume / n_atoms:.3g} Å³ an atom ({n_atoms} atoms); at least {LEAST_VOLUME_A3:g} is expected"
    else:
        yield from _nearest(found["numbers"], found["positions"], found["cell"])
    largest = float(np.linalg.norm(found["forces"], axis=1).max())
    if largest > FORCE_LIMIT_eV_A:
        yield f"a force of {largest:.4g} eV/Å; at most {FORCE_LIMIT_eV_A:g} is expected"
    if "virial" in found and volume > 0:
        stress = float(np.abs(found["virial"]).max()) / volume * EV_A3_IN_GPA
        if stress > STRESS_LIMIT_GPa:
            yield f"a stress of {stress:.4g} GPa by its virial; at most {STRESS_LIMIT_GPa:g} is expected"


def _nearest(numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray) -> Iterator[str]:
    """Nearest distances over covalent radii; not of a few atoms, which may be a broken molecule, or of noble gases."""
    if len(numbers) < _LEAST_ATOMS or np.isin(numbers, _NOBLE).any():
        return
    from ase.data import covalent_radii

    radii = covalent_radii[numbers]
    fractional = positions @ np.linalg.inv(cell)
    centres = np.unique(np.linspace(0, len(numbers) - 1, _CENTRES).astype(int))
    offsets = fractional[None] - fractional[centres, None]
    offsets -= np.round(offsets)
    images = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 1, 1, 3)
    distances = np.linalg.norm((offsets + images) @ cell, axis=-1).min(axis=0)
    distances[np.arange(len(centres)), centres] = np.inf
    ratio = float(np.median((distances / (radii[centres, None] + radii)).min(axis=1)))
    if not NEAREST[0] <= ratio <= NEAREST[1]:
        yield (
            f"nearest atoms lie at {ratio:.2f} times the sum of their covalent radii (median); "
            f"{NEAREST[0]:g} to {NEAREST[1]:g} is expected"
        )
