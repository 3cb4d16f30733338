"""The figures of order."""

from __future__ import annotations

from collections.abc import Iterator

from lipsdb.queries.figures.descriptors.figure import Answer, Figure, curves, distribution
from lipsdb.queries.figures.panels import Axes, Curve


def _bond_order(answer: Answer) -> Iterator[Curve]:
    for degree, density in zip(answer["degrees"], answer["q_averaged_histogram"], strict=True):
        yield distribution(f"l = {degree}", answer["edges"], density)


def _disorder_parameter(answer: Answer) -> Iterator[Curve]:
    for of, density in answer["S_histogram"].items():
        yield distribution(f"{of} atoms", answer["edges"], density)


def _amorphisation(answer: Answer) -> Iterator[Curve]:
    yield Curve("", answer["heights_A"], answer["profile"], answer["profile_std"])


FIGURES: dict[str, Figure] = {
    "bond_order": Figure(
        "structure",
        "Averaged bond order",
        curves(_bond_order, Axes("averaged q_l", "probability density")),
        "Distribution of the bond order averaged over the first shell, over atoms and frames. Dashes tell replicas.",
    ),
    "disorder_parameter": Figure(
        "structure",
        "Disorder parameter",
        curves(_disorder_parameter, Axes("disorder parameter S", "probability density")),
        "Distribution over atoms and frames, of all atoms that are described and by element. S = 2: neighbours "
        "oriented without correlation. Dashes tell replicas.",
    ),
    "amorphisation": Figure(
        "structure",
        "Amorphisation",
        curves(_amorphisation, Axes("height (Å)", "F", reference=1.0)),
        "F of slabs along the axis, mean over frames; shaded: standard error from blocks of frames. Without a "
        "reference from another run the highest slab is 1: a run of a single phase, crystal or glass, is near 1 "
        "throughout (less in slabs between lattice planes).",
    ),
}
