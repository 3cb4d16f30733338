"""Runs: molecular dynamics of a structure with a potential, or ab initio at a level of theory."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from lipsdb.documents.base import Array, ArtifactReference, Document, Model


class RunAsked(Model):
    """The conditions; structure and potential, or structure and level of theory, are the inputs."""

    program: str = Field(description="Program: 'lammps', or the code of the level of theory: 'cp2k' …")
    settings: dict[str, Any] = Field(
        description="`lipsdb.md.settings.MDSettings`, or `lipsdb.dft.settings.AimdSettings`, complete."
    )


class Extrapolation(Model):
    """Extrapolation grades of a run's potential on its way; 1 is the edge of what the potential was trained on."""

    steps: Array = Field(description="Steps at which the grades were evaluated, from 0 at the start of production.")
    max_grades: Array = Field(description="Largest grade of an atom at each of these steps, dimensionless.")
    atoms: Array = Field(
        description="Index of that atom, from 0; -1 where all atoms have the same grade, as in configuration mode."
    )
    n_selected: int = Field(
        description="Frames that were kept: of those with a grade of at least `select_grade` (as many as `max_grades` "
        "tells) the first 1000 of the run, then only those with a larger grade than any before."
    )
    selected: ArtifactReference | None = Field(
        description="These frames with the grades of their atoms (extended XYZ, orientation of LAMMPS); None if none."
    )
    stopped_at_step: int | None = Field(
        description="Step, counted as `steps`, at which a grade of `break_grade` ended the run early; None if none."
    )
    stopped: str | None = Field(
        description="Why it ended there, in words: grade, atom (or frame), step and limit; None if it came to its end."
    )


class RunAnswer(Model):
    """The trajectory and what was measured on the way."""

    n_atoms: int = Field(description="Number of atoms.")
    n_frames: int = Field(description="Frames in the trajectory; 0 if the run was ended in its equilibration.")
    frame_interval_ps: float = Field(description="Time between frames, ps.")
    trajectory: ArtifactReference = Field(description="AMBER NetCDF, unwrapped positions in Å, input order of atoms.")
    topology: ArtifactReference = Field(description="First frame with elements (extended XYZ), for viewers.")
    restart: ArtifactReference = Field(description="The program's own restart file of the last step.")
    thermo: dict[str, Array] = Field(
        description="Columns of the thermodynamic output of production, by step; empty if the run was ended before it."
    )
    thermo_units: dict[str, str] = Field(description="Unit of each column.")
    mean_temperature_K: float = Field(
        description="Mean over production (this and the following: over the equilibration, if the run ended in it), K."
    )
    mean_pressure_bar: float = Field(description="Mean over production, bar.")
    mean_volume_A3: float = Field(description="Mean over production, Å³.")
    mean_density_g_cm3: float = Field(description="Mean over production, g/cm³.")
    mean_stress_GPa: Array = Field(description="Mean stress over production, (3, 3), GPa, tension positive.")
    rotation: Array = Field(description="(3, 3): positions in the trajectory = structure's positions @ rotation.")
    extrapolation: Extrapolation | None = Field(
        None, description="Extrapolation grades, and whether they ended the run early; None if they were not asked for."
    )

    @model_serializer(mode="wrap")
    def _without_what_was_not_asked(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out grades that are not there: an answer has one content, whether it was stored before or after."""
        dumped: dict[str, Any] = serialise(self)
        return {name: value for name, value in dumped.items() if name != "extrapolation" or value is not None}


class Run(Document):
    """Document of `runs`."""

    kind: ClassVar[str] = "run"
    indexes = (
        [("asked.settings.temperature_K", 1), ("asked.settings.seed", 1)],
        *([(f"answer.{file}.sha256", 1)] for file in ("trajectory", "topology", "restart", "extrapolation.selected")),
    )
    asked: RunAsked
    answer: RunAnswer
