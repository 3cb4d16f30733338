"""Descriptors of mechanics: the lattice at constant pressure, and elastic constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from lipsdb.campaigns.base import CampaignModel, Positive, Unique, reference
from lipsdb.campaigns.properties.of_run import OfRun

if TYPE_CHECKING:
    from lipsdb.campaigns.md import MolecularDynamics
    from lipsdb.campaigns.schema import Campaign

_FEWEST_FRAMES = 16
Amplitude = Annotated[float, Field(ge=-0.1, le=0.1)]


class Lattice(OfRun):
    """Mean lattice parameters and density of runs at constant pressure."""

    kind: Literal["lattice"] = Field(description="lattice")
    repeats: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=3, max_length=3)] | None = Field(
        default=None,
        description="unit cells in the simulation cell along a, b, c; the supercell of its structure if left out",
    )

    def resolved(self, campaign: Campaign) -> Lattice:
        """The same with the repeats of the structure that the MD starts from, if none were given."""
        if self.repeats is not None:
            return self
        recipe = campaign.structures[campaign.md[self.of].structure]
        while recipe.relax is not None:
            recipe = campaign.structures[recipe.relax.structure]
        return self.model_copy(update={"repeats": recipe.supercell})

    def unusable(self, md: MolecularDynamics) -> str | None:
        """Why an MD is of no use, if so."""
        n_frames = md.frame_at(md.production_ps) + 1
        if md.ensemble != "NPT":
            return f"an MD at constant volume ({md.ensemble}): name one with ensemble NPT"
        if n_frames < _FEWEST_FRAMES:
            return (
                f"an MD with {n_frames} stored frames: errors need {_FEWEST_FRAMES} or more; raise production_ps or "
                "lower dump_interval_fs"
            )
        return None


class Elasticity(CampaignModel):
    """Elastic constants and moduli of a structure, from the stresses of strained cells with relaxed atoms."""

    kind: Literal["elasticity"] = Field(description="elasticity")
    structure: str = reference("name of the structure", "structures")
    potential: str = reference("name of the potential", "potentials")
    strain_amplitudes: Annotated[list[Amplitude], Unique] = Field(
        default=[-0.01, -0.005, 0.005, 0.01],
        min_length=2,
        description="strains, each along xx, yy, zz, yz, xz and xy (engineering strain of shears), no unit",
    )
    relax_cell: bool = Field(default=True, description="whether the cell is relaxed at zero pressure before")
    max_force_eV_A: Positive = Field(default=1e-3, description="largest component of a force on a relaxed atom, eV/Å")
    max_steps: Annotated[int, Field(ge=1)] = Field(default=2000, description="most steps of one relaxation; no unit")
    symmetrise: bool = Field(
        default=True, description="whether the constants are averaged over the point group of the structure"
    )
    symmetry_tolerance_A: Positive = Field(
        default=0.01, description="largest distance between an atom and its image under a symmetry, Å"
    )
    ranks: int = Field(default=1, ge=1, description="MPI ranks; changes the speed, not the result; no unit")

    @model_validator(mode="after")
    def _strains_are_none_zero(self) -> Elasticity:
        if 0.0 in self.strain_amplitudes:
            raise ValueError("must have strain_amplitudes other than 0: the unstrained cell is computed anyway")
        return self

    def parameters(self) -> dict[str, Any]:
        """What changes the answer, complete."""
        asked = self.model_dump(mode="json", exclude={"kind", "structure", "potential", "ranks"})
        return asked | {"strain_amplitudes": sorted(self.strain_amplitudes)}
