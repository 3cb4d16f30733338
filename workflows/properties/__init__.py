"""Properties from runs and from other properties; what a Firework calls stands here by name."""

from lipsdb.workflows.properties.of_run import RunPropertyMaker
from lipsdb.workflows.properties.structure import (
    measure_coordination,
    measure_radial_distribution,
    measure_thiophosphate_units,
)
from lipsdb.workflows.properties.transport import (
    ArrheniusMaker,
    DiffusionMaker,
    fit_arrhenius_line,
    measure_diffusion,
)

__all__ = [
    "ArrheniusMaker",
    "DiffusionMaker",
    "RunPropertyMaker",
    "fit_arrhenius_line",
    "measure_coordination",
    "measure_diffusion",
    "measure_radial_distribution",
    "measure_thiophosphate_units",
]
