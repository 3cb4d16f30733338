"""What a report is about: the documents of a campaign, read once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lipsdb.errors import NotFoundError
from lipsdb.queries.figures.published_lines import PublishedResult, published_results
from lipsdb.queries.tables import potential_name

if TYPE_CHECKING:
    from lipsdb.provenance.withdrawal import Taint
    from lipsdb.store.database import Database

Document = Mapping[str, Any]
_DATASET_FIELDS = ["kind", "asked", "answer.n_training", "answer.n_held", "made_by", "campaigns"]


@dataclass(frozen=True)
class Contents:
    """The documents of a campaign, arrays decoded, in an order that doesn't depend on when they were made.

    Attributes
    ----------
    name : str
        Of the campaign.
    versions : list of documents
        The campaign as it was submitted, the newest first.
    launchpad : str
        Identifier of the database; documents of another one's launchpad were made elsewhere.
    file_text : str or None
        The campaign file; None if its artifact is gone.
    structures, datasets, potentials, runs, classifiers : lists of documents
        Of datasets only the counts, not which label is where.
    properties : dict
        By kind: 'diffusion', 'arrhenius', 'coordination' …
    """

    name: str
    versions: list[dict[str, Any]]
    launchpad: str
    file_text: str | None
    structures: list[dict[str, Any]]
    datasets: list[dict[str, Any]]
    potentials: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    classifiers: list[dict[str, Any]]
    properties: dict[str, list[dict[str, Any]]]

    @property
    def campaign(self) -> Document:
        """Its newest version."""
        return self.versions[0]

    @property
    def specification(self) -> Mapping[str, Any]:
        """What the campaign file says."""
        found: Mapping[str, Any] = self.campaign["asked"]["specification"]
        return found

    @property
    def published(self) -> list[PublishedResult]:
        """Published activation energies and conductivities."""
        return published_results(self.specification.get("published", []))

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Properties of a kind; empty if there are none."""
        return self.properties.get(kind, [])

    def potential_name(self, id_: str) -> str:
        """Engine and beginning of the id of a potential; of a level of theory the beginning of its id."""
        engines = {document["_id"]: document["asked"]["engine"] for document in self.potentials}
        return potential_name(id_, engines.get(id_))

    def grouped(self, kind: str) -> dict[str, list[dict[str, Any]]]:
        """Properties of single runs that belong in one figure: same name, structure, potential, ensemble and pressure.

        The keys say what they share, as far as it differs.
        """
        groups: dict[tuple[str, str, str, str], list[dict[str, Any]]] = {}
        for document in self.of(kind):
            conditions = document["answer"]["conditions"]
            name, held = document["asked"]["parameters"].get("name", kind), ensemble_of(conditions)
            groups.setdefault((name, conditions["structure"], conditions["potential_id"], held), []).append(document)
        potentials, ensembles = ({key[place] for key in groups} for place in (2, 3))
        return {
            f"{name}: {structure}"
            + (f", {self.potential_name(potential)}" if len(potentials) > 1 else "")
            + (f", {held}" if len(ensembles) > 1 else ""): documents
            for (name, structure, potential, held), documents in groups.items()
        }

    def alike(self, kind: str) -> dict[str, list[dict[str, Any]]]:
        """Descriptors of a kind that belong in one figure: alike but for temperature and seed.

        Structure, potential, ensemble, pressure, classifier and parameters are the same; the keys say what they share,
        as far as it differs.
        """
        groups: dict[tuple[str, str, str, str], list[dict[str, Any]]] = {}
        for document in self.of(kind):
            conditions = document["answer"]["conditions"]
            others = {link["role"]: link["id"][:19] for link in document["inputs"] if link["role"] == "classifier"}
            parameters = json.dumps({**document["asked"]["parameters"], **others}, sort_keys=True)
            key = conditions["structure"], conditions["potential_id"], ensemble_of(conditions), parameters
            groups.setdefault(key, []).append(document)
        potentials, ensembles = ({key[place] for key in groups} for place in (1, 2))
        differing = _differing([json.loads(parameters) for *_, parameters in groups])
        found: dict[str, list[dict[str, Any]]] = {}
        for ((structure, potential, held, _), documents), shared in zip(groups.items(), differing, strict=True):
            of_run = [
                *([self.potential_name(potential)] if len(potentials) > 1 else []),
                *([held] if len(ensembles) > 1 else []),
            ]
            title = ", ".join([structure, *of_run, *shared])
            if title in found:  # such as experiments of the same name
                title += f", {documents[0]['_id'][:18]}"
            found[title] = documents
        return found

    def without(self, taint: Taint) -> Contents:
        """The same without what stands on withdrawn documents; the campaign stays."""

        def clean(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [document for document in documents if not taint.of(document["_id"])]

        kinds = {kind: clean(documents) for kind, documents in self.properties.items()}
        return replace(
            self,
            structures=clean(self.structures),
            datasets=clean(self.datasets),
            potentials=clean(self.potentials),
            runs=clean(self.runs),
            classifiers=clean(self.classifiers),
            properties={kind: documents for kind, documents in kinds.items() if documents},
        )

    def documents(self) -> list[Document]:
        """All of them."""
        properties = [document for documents in self.properties.values() for document in documents]
        made = [*self.structures, *self.datasets, *self.potentials, *self.runs, *self.classifiers]
        return [*self.versions, *made, *properties]

    def of_work(self, kind: str | None, activity: str | None, *, elsewhere: bool) -> list[str]:
        """Ids of the documents of a kind that an activity made, here or in another database; None stands for any."""
        return [
            document["_id"]
            for document in self.documents()
            if kind in {None, document["kind"]}
            and activity in {None, document["made_by"]["activity"]}
            and elsewhere == (document["made_by"].get("launchpad") not in {None, self.launchpad})
        ]


def ensemble_of(conditions: Mapping[str, Any]) -> str:
    """Ensemble and pressure of a run; nothing for what is not of a run.

    Examples
    --------
    >>> ensemble_of({"ensemble": "npt", "pressure_bar": 1e4}), ensemble_of({"ensemble": "nvt", "pressure_bar": None})
    ('NPT 10000 bar', 'NVT')
    """
    pressure = conditions.get("pressure_bar")
    return str(conditions.get("ensemble", "")).upper() + ("" if pressure is None else f" {pressure:g} bar")


def _differing(parameters: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Of each set of parameters what is not the same in all, in words.

    Examples
    --------
    >>> _differing([{"l": 6, "of": ["Li", "S"], "r_A": None}, {"l": 6, "of": ["P"], "r_A": 5.0}])
    [['of Li S'], ['of P', 'r_A 5']]
    >>> _differing([{"lengths_fm": {"Li": -2.22}, "curves": []}, {"lengths_fm": {}, "curves": [{"name": "glass"}]}])
    [['lengths_fm Li -2.22'], ['curves glass']]
    """

    def text(value: Any) -> str:
        if isinstance(value, list):
            return " ".join(map(text, value))
        if isinstance(value, Mapping):
            if len(value) > 1 and all(isinstance(one, Mapping) for one in value.values()):
                return " ".join(value)  # several regions: their names
            known = {name: one for name, one in value.items() if one is not None}
            return str(value.get("name") or " ".join(f"{name} {text(one)}" for name, one in known.items()))
        return f"{value:.12g}" if isinstance(value, float) else str(value)

    names = {name: None for one in parameters for name in one}
    varying = [name for name in names if any(one.get(name) != parameters[0].get(name) for one in parameters)]
    return [
        [f"{name} {text(one[name])}" for name in varying if one.get(name) not in (None, [], {})] for one in parameters
    ]


def read_contents(database: Database, name: str) -> Contents:
    """Read a campaign's documents.

    Raises
    ------
    NotFoundError
        If there is no such campaign; names those that there are.
    """
    from lipsdb.queries.aggregation import check_campaign

    check_campaign(database, name)
    versions = list(database.query("campaigns", {"asked.name": name}, sort={"made_by.finished_at": -1, "_id": 1}))
    properties: dict[str, list[dict[str, Any]]] = {}
    conditions = ("structure", "ensemble", "pressure_bar", "temperature_K", "seed")
    order = {f"answer.conditions.{condition}": 1 for condition in conditions}
    for document in _documents(database, "properties", name, order):
        properties.setdefault(document["asked"]["property"], []).append(document)
    return Contents(
        name=name,
        versions=versions,
        launchpad=database.identifier,
        file_text=_file_text(database, versions[0]),
        structures=_documents(database, "structures", name, {"answer.name": 1}),
        datasets=list(database.query("datasets", {"campaigns": name}, _DATASET_FIELDS, sort={"_id": 1})),
        potentials=_documents(database, "potentials", name, {"asked.engine": 1}),
        runs=_documents(database, "runs", name, {"asked.settings.temperature_K": 1, "asked.settings.seed": 1}),
        classifiers=_documents(database, "classifiers", name, {"asked.method": 1}),
        properties=properties,
    )


def _documents(database: Database, collection: str, name: str, order: Mapping[str, int]) -> list[dict[str, Any]]:
    from lipsdb.provenance.canonical import decoded

    found = database.query(collection, {"campaigns": name}, sort={**order, "_id": 1})
    return [decoded(document) for document in found]


def _file_text(database: Database, campaign: Document) -> str | None:
    try:
        return database.artifacts.read(campaign["answer"]["file"]["sha256"]).decode(errors="replace")
    except NotFoundError:
        return None
