"""The section ``properties`` of a campaign: what is computed from the MD runs, and tests of potentials.

A new kind is a class with a ``kind`` of its own, added to `Property`; the loader needs no change. One that is computed
from each run by itself is an `OfRun`, and a function ``measure_<kind>`` in `lipsdb.workflows.properties` answers it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lipsdb.campaigns.properties.of_run import OfRun
from lipsdb.campaigns.properties.prediction import PredictionErrors
from lipsdb.campaigns.properties.structure import Coordination, RadialDistribution, ThiophosphateUnits
from lipsdb.campaigns.properties.transport import Arrhenius, Diffusion

__all__ = ["Arrhenius", "Coordination", "Diffusion", "OfRun", "PredictionErrors", "Property"]

Property = Annotated[
    Diffusion | Arrhenius | PredictionErrors | Coordination | RadialDistribution | ThiophosphateUnits,
    Field(discriminator="kind"),
]
