"""The figures of softness and of the motion that it is learnt from."""

from __future__ import annotations

from collections.abc import Iterator

from lipsdb.queries.figures.descriptors.figure import Answer, Figure, curves, distribution
from lipsdb.queries.figures.panels import Axes, Curve


def _softness(answer: Answer) -> Iterator[Curve]:
    yield distribution("", answer["edges"], answer["S_density"])


def _nonaffine_displacement(answer: Answer) -> Iterator[Curve]:
    yield distribution("", answer["edges_A"], answer["D_cum_density_per_A"])


FIGURES: dict[str, Figure] = {
    "nonaffine_displacement": Figure(
        "softness",
        "Cumulative non-affine displacement",
        curves(_nonaffine_displacement, Axes("D_cum (Å)", "probability density (Å⁻¹)")),
        "Distribution over ions and blocks of windows. Vibrations add to it too. Dashes tell replicas.",
    ),
    "softness": Figure(
        "softness",
        "Softness",
        curves(_softness, Axes("S", "probability density")),
        "Distribution over ions and frames; ions with S > 0 have surroundings of mobile ones. Dashes tell replicas.",
    ),
}
