"""The documents: one module a collection, with its model, its identity and its indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lipsdb.documents.base import Document


def document_types() -> dict[str, type[Document]]:
    """The model of each kind of document."""
    from lipsdb.documents.audit import Audit
    from lipsdb.documents.campaign import Campaign
    from lipsdb.documents.classifier import Classifier
    from lipsdb.documents.dataset import Dataset
    from lipsdb.documents.label import Label
    from lipsdb.documents.level_of_theory import LevelOfTheory
    from lipsdb.documents.potential import Potential
    from lipsdb.documents.property import Property
    from lipsdb.documents.refusal import Refusal
    from lipsdb.documents.run import Run
    from lipsdb.documents.structure import Structure
    from lipsdb.documents.withdrawal import Withdrawal

    results = (LevelOfTheory, Structure, Label, Refusal, Dataset, Potential, Run, Classifier, Property, Campaign)
    models: tuple[type[Document], ...] = (*results, Withdrawal, Audit)
    return {model.kind: model for model in models}
