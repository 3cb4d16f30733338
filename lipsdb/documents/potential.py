"""Potentials: one version of a machine-learned potential, with its model files and its errors."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from lipsdb.documents.base import Array, ArtifactReference, Document, Model


class PotentialAsked(Model):
    """What was to be trained; the dataset is the input."""

    engine: str = Field(description="Potential engine: 'deepmd' or 'mtp'.")
    settings: dict[str, Any] = Field(description="All hyper-parameters and training settings of the engine.")


class SystemErrors(Model):
    """Errors against labels; `system` is 'all' for the whole held-out part."""

    system: str = Field(description="Name of the system, or 'all'.")
    n_frames: int = Field(description="Held-out labels compared.")
    n_force_components: int = Field(description="Force components compared.")
    energy_mae_meV_per_atom: float = Field(description="Mean absolute error of the energy per atom, meV.")
    energy_rmse_meV_per_atom: float = Field(description="Root mean square error of the energy per atom, meV.")
    energy_bias_meV_per_atom: float = Field(
        description="Mean signed error of the energy per atom (potential − label), meV."
    )
    force_mae_meV_per_A: float = Field(description="Mean absolute error of a force component, meV/Å.")
    force_rmse_meV_per_A: float = Field(description="Root mean square error of a force component, meV/Å.")
    virial_mae_meV_per_atom: float | None = Field(
        description="Mean absolute error of a virial component per atom, meV."
    )
    virial_rmse_meV_per_atom: float | None = Field(
        description="Root mean square error of a virial component per atom, meV."
    )


class Parity(Model):
    """Held-out labels against the potential, thinned for a figure."""

    system: list[str] = Field(description="Systems, in the order of `system_index`.")
    system_index: Array = Field(description="System of each label, (n_frames,).")
    energy_label: Array = Field(description="Label energy per atom, (n_frames,), eV.")
    energy_potential: Array = Field(description="Energy per atom by the potential, (n_frames,), eV.")
    force_system_index: Array = Field(description="System of each force component, (n_components,).")
    force_label: Array = Field(description="Label force components, a random sample, (n_components,), eV/Å.")
    force_potential: Array = Field(description="The same by the potential, (n_components,), eV/Å.")


class PotentialAnswer(Model):
    """The trained potential."""

    elements: list[Annotated[str, Field(pattern="^[A-Z][a-z]?$")]] = Field(
        description="Chemical symbols in the model's order of types."
    )
    cutoff_A: float = Field(description="Cutoff radius, Å.")
    model: ArtifactReference = Field(description="The model file that MD uses.")
    files: list[ArtifactReference] = Field(description="Other model files: the uncompressed model …")
    active_set: ArtifactReference | None = Field(
        None, description="Active set of the training data, for extrapolation grades; None if the engine has none."
    )
    learning_curve: dict[str, Array] = Field(
        description="Columns of the learning curve: rmse_e_… eV/atom, rmse_f_… eV/Å; others in the engine's units."
    )
    errors: list[SystemErrors] = Field(description="Errors on the held-out labels, by system and for all.")
    parity: Parity

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out an active set that is not there: potentials from before it keep their content."""
        return {name: value for name, value in serialise(self).items() if name != "active_set" or value is not None}


class Potential(Document):
    """Document of `potentials`; its input is the dataset."""

    kind: ClassVar[str] = "potential"
    indexes = ([("asked.engine", 1)],)
    asked: PotentialAsked
    answer: PotentialAnswer
