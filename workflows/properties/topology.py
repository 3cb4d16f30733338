"""Rings in the network of ions of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lipsdb.documents.base import Input
from lipsdb.documents.property import PropertyAsked
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Workplace
from lipsdb.workflows.properties.of_run import Result, known
from lipsdb.workflows.runs import load_run

if TYPE_CHECKING:
    from lipsdb.analysis.ring_topology import RingDiagram

MOST_PAIRS = 200_000  # that are stored of a run: 2.4 MB
LARGEST_RING = 12
LARGEST_STEP_A = 0.5  # that ends of a heat map are rounded up to, or one bin
SMOOTHED_TO = 4  # standard deviations of the Gaussian, where scipy cuts it off


def measure_rings(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Persistence diagram of the rings, how many live long, its heat map, and the rings of one frame."""
    from lipsdb.analysis.representative_rings import representative_rings
    from lipsdb.analysis.ring_topology import long_lived_fraction, ring_persistence, smoothed_diagram

    parameters, run = asked.parameters, load_run(place.database, inputs[0].id)
    ions = run.atoms_of(parameters["elements"])
    frames = run.snapshots(parameters["n_snapshots"])
    diagram = ring_persistence(run.positions, run.cell, ions, frames=frames)
    median_birth = _weighted_median(diagram)
    summary = []
    for lifetime in (parameters["minimum_lifetime_A"], parameters["minimum_lifetime_A"] / 2):
        found = long_lived_fraction(diagram, minimum_lifetime=lifetime)
        summary.append(
            {
                "of": " ".join(parameters["elements"]),
                "longer_than_A": lifetime,
                "f_PD": found.fraction,
                "f_PD_std": known(found.standard_error),
                "rings_per_ion": found.rings_per_snapshot / int(ions.sum()),
                "median_birth_A": median_birth,
            }
        )
    spacing, smoothing = parameters["bin_A"], parameters["smoothing_A"]
    maximum = _end(diagram.births, spacing, smoothing), _end(diagram.lifetimes, spacing, smoothing)
    heat = smoothed_diagram(diagram, maximum=maximum, spacing=spacing, smoothing=smoothing)
    shown = int(frames[-1])
    rings = representative_rings(
        run.positions,
        run.cell,
        ions,
        frame=shown,
        minimum_lifetime=parameters["minimum_lifetime_A"] / 2,
        largest_size=LARGEST_RING,
    )
    answer = {
        "conditions": run.conditions,
        "summary": summary,
        "n_snapshots": len(frames),
        "n_ions": int(ions.sum()),
        **_pairs(diagram),
        "birth_edges_A": heat.birth_edges,
        "lifetime_edges_A": heat.vertical_edges,
        "density_per_A2": heat.density,
        "rings_of_frame": shown,
        "rings": [{"atoms": ring.atoms, "birth_A": ring.birth, "death_A": ring.death} for ring in rings],
    }
    return answer, place.watch.made_by(versions_of("gudhi", "scipy"))


def _pairs(diagram: RingDiagram) -> dict[str, Any]:
    """Births and deaths of the rings of all snapshots; of very many every n-th."""
    every = -(-len(diagram.births) // MOST_PAIRS)
    columns = {"births_A": diagram.births, "deaths_A": diagram.deaths, "weights": diagram.weights}
    return {"every_nth_ring": every} | {name: values[::every].astype("f4") for name, values in columns.items()}


def _end(values: np.ndarray, spacing: float, smoothing: float) -> float:
    """End of a heat map's axis, Å: beyond all that the largest value is smoothed to, rounded up to about 0.5 Å.

    Always a whole number of bins, so that bins of different runs are the same and only their number differs.

    Examples
    --------
    >>> _end(np.array([1.0, 5.1]), 0.02, 0.06), _end(np.array([1.0]), 0.25, 0.1)
    (5.5, 1.5)
    """
    step = spacing * np.ceil(LARGEST_STEP_A / spacing - 1e-9)
    return float(step * np.ceil((values.max() + SMOOTHED_TO * smoothing) / step))


def _weighted_median(diagram: RingDiagram) -> float:
    """Radius (Å) at which half of the rings are born."""
    order = np.argsort(diagram.births)
    share = np.cumsum(diagram.weights[order])
    return float(diagram.births[order][np.searchsorted(share, share[-1] / 2)])
