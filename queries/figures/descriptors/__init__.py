"""The figures of descriptors, by kind of property: what of the answer is drawn, and what stands below it."""

from lipsdb.queries.figures.descriptors import (
    dynamics,
    mechanics,
    order,
    regional,
    scattering,
    softness,
    space,
    structure,
    topology,
)
from lipsdb.queries.figures.descriptors.figure import Figure

__all__ = ["FIGURES", "Figure"]

FIGURES: dict[str, Figure] = {
    **structure.FIGURES,
    **scattering.FIGURES,
    **order.FIGURES,
    **space.FIGURES,
    **dynamics.FIGURES,
    **regional.FIGURES,
    **softness.FIGURES,
    **topology.FIGURES,
    **mechanics.FIGURES,
}
