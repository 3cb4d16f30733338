"""The section ``properties`` of a campaign: what is computed from the MD runs, and tests of potentials.

A new kind is a class with a ``kind`` of its own, added to `Property`; the loader needs no change. One that is computed
from each run by itself is an `OfRun`, and a function ``measure_<kind>`` in `lipsdb.workflows.properties` answers it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lipsdb.campaigns.properties.dynamics import Displacement, DisplacementMap, Isotropy, NonGaussian, VanHove
from lipsdb.campaigns.properties.mechanics import Elasticity, Lattice
from lipsdb.campaigns.properties.of_run import OfRun
from lipsdb.campaigns.properties.order import Amorphisation, BondOrder, DisorderParameter
from lipsdb.campaigns.properties.prediction import PotentialChoice, PredictionErrors
from lipsdb.campaigns.properties.regional import IonPaths, RegionalDiffusion, RegionFractions
from lipsdb.campaigns.properties.scattering import StructureFactor
from lipsdb.campaigns.properties.softness import NonaffineDisplacement, Softness
from lipsdb.campaigns.properties.space import DensityMap, Profile, VoronoiVolumes
from lipsdb.campaigns.properties.structure import BondAngles, Coordination, RadialDistribution, ThiophosphateUnits
from lipsdb.campaigns.properties.topology import Rings
from lipsdb.campaigns.properties.transport import Arrhenius, Diffusion

__all__ = [
    "Arrhenius",
    "Coordination",
    "Diffusion",
    "Elasticity",
    "Lattice",
    "NonaffineDisplacement",
    "OfRun",
    "PotentialChoice",
    "PredictionErrors",
    "Property",
    "Softness",
]

Property = Annotated[
    Diffusion
    | Arrhenius
    | PredictionErrors
    | PotentialChoice
    | Elasticity
    | Lattice
    | Rings
    | Coordination
    | RadialDistribution
    | ThiophosphateUnits
    | BondAngles
    | StructureFactor
    | BondOrder
    | DisorderParameter
    | Amorphisation
    | VoronoiVolumes
    | Profile
    | DensityMap
    | NonaffineDisplacement
    | Softness
    | Displacement
    | NonGaussian
    | VanHove
    | DisplacementMap
    | Isotropy
    | RegionalDiffusion
    | RegionFractions
    | IonPaths,
    Field(discriminator="kind"),
]
