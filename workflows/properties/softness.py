"""Softness of the ions of a run, and the non-affine motion that it is learnt from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lipsdb.documents.base import Input
from lipsdb.documents.property import PropertyAsked
from lipsdb.provenance.canonical import decoded
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Question, QuestionMaker, Workplace
from lipsdb.workflows.properties.of_run import Result, known, mean_with_error
from lipsdb.workflows.runs import LoadedRun, load_run
from lipsdb.workflows.softness import classifier_of, features_at, motion_of

MOST_SAMPLES = 1_000_000  # ions times frames that are correlated with bond order


@dataclass
class SoftnessMaker(QuestionMaker):
    """Softness of the ions of a run by a classifier.

    Parameters
    ----------
    parameters : dict
        Of `lipsdb.campaigns.properties.Softness`, complete.
    """

    name: str = "softness"
    parameters: dict[str, Any] = field(default_factory=dict)

    def question(self, run: Question | dict[str, str], classifier: Question | dict[str, str]) -> Question:
        """Ask for it."""
        of = run.name.removeprefix("md ") if isinstance(run, Question) else ""
        return Question(
            "property",
            f"{self.name} {of}".strip(),
            PropertyAsked(property="softness", parameters=self.parameters),
            (("run", run), ("classifier", classifier)),
            "lipsdb.workflows.properties:measure_softness",
            "analysis",
        )


def measure_nonaffine_displacement(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """D²_min over windows, and its sum over blocks of windows."""
    parameters = asked.parameters
    run = load_run(place.database, inputs[0].id)
    motion = motion_of(run, parameters["species"], parameters)
    squared, squared_std = mean_with_error(motion.squared.mean(axis=1))
    summed, summed_std = mean_with_error(motion.cumulative.mean(axis=1))
    median, upper = np.quantile(motion.cumulative, [0.5, 0.9]).tolist()
    edges, density = _density(motion.cumulative, parameters["bin_width_A"], least=0.0)
    answer = {
        "conditions": run.conditions,
        "summary": [
            {
                "species": parameters["species"],
                "D2min_A2": squared,
                "D2min_std_A2": squared_std,
                "D_cum_A": summed,
                "D_cum_std_A": summed_std,
                "D_cum_median_A": median,
                "D_cum_upper_tenth_A": upper,
                "blocks": len(motion.start),
            }
        ],
        "atoms": np.flatnonzero(run.symbols == parameters["species"]),
        "D2min_of_atoms_A2": motion.squared.mean(axis=0),
        "D2min_by_window_A2": motion.squared.mean(axis=1),
        "edges_A": edges,
        "D_cum_density_per_A": density,
    }
    return answer, place.watch.made_by(versions_of("pymatgen", "scipy"))


def measure_softness(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Softness of each ion in each frame, and how it goes with the averaged bond order of the ion.

    Notes
    -----
    The correlation is Spearman's over ions and frames, of very many frames over evenly spaced ones; its error draws
    ions, since the frames of one are alike.
    """
    from lipsdb.analysis.softness import softness

    parameters = asked.parameters
    by_role = {link.role: link.id for link in inputs}
    run = load_run(place.database, by_role["run"]).every(parameters["every_ps"])
    classifier = classifier_of(decoded(place.database.find(by_role["classifier"])["answer"]))
    ions = run.symbols == classifier.definition.centre
    every_ion = np.full((1, int(ions.sum())), True)
    values = np.array(
        [
            softness(features_at(run, [frame], every_ion, classifier.definition), classifier)
            for frame in range(len(run.positions))
        ]
    )
    mean, error = mean_with_error(values.mean(axis=1))
    soft, soft_error = mean_with_error(100.0 * (values > 0).mean(axis=1))
    spearman, spearman_error, n_samples = _correlation_with_order(run, ions, values, parameters)
    edges, density = _density(values, parameters["bin_width"])
    answer = {
        "conditions": run.conditions,
        "summary": [
            {
                "classifier": by_role["classifier"][:19],
                "species": classifier.definition.centre,
                "S": mean,
                "S_std": error,
                "soft_percent": soft,
                "soft_std_percent": soft_error,
                "spread": float(values.mean(axis=0).std()),
                "order": _order_in_words(parameters),
                "spearman": spearman,
                "spearman_std": spearman_error,
            }
        ],
        "n_frames": len(values),
        "spearman_samples": n_samples,
        "atoms": np.flatnonzero(ions),
        "S_of_atoms": values.mean(axis=0),
        "S_by_frame": values.mean(axis=1),
        "edges": edges,
        "S_density": density,
    }
    return answer, place.watch.made_by(versions_of("ase", "scikit-learn", "pymatgen", "freud-analysis", "scipy"))


def _correlation_with_order(
    run: LoadedRun, ions: np.ndarray, values: np.ndarray, parameters: dict[str, Any]
) -> tuple[float | None, float | None, int]:
    """Spearman's coefficient of softness and averaged bond order, with its error, and the number of samples.

    The first two are None if softness or order is constant.
    """
    from lipsdb.analysis.bond_order import bond_order
    from lipsdb.analysis.correlation import correlation

    n_frames, n_ions = values.shape
    most = min(n_frames, max(1, MOST_SAMPLES // n_ions))
    frames = np.linspace(0, n_frames - 1, most).round().astype(int)
    values = values[frames]
    order = bond_order(
        run.positions[frames],
        run.cell[frames],
        ions,
        run.atoms_of(parameters["order_neighbours"]),
        degrees=(parameters["order_degree"],),
        cutoff=parameters["order_cutoff_A"],
        number=parameters["order_n_neighbours"],
    ).averaged[:, :, 0]
    there = ~np.isnan(order)
    numbers = np.broadcast_to(np.arange(values.shape[1]), values.shape)[there]
    if len(np.unique(numbers)) < 2 or np.ptp(order[there]) == 0 or np.ptp(values[there]) == 0:
        return None, None, int(there.sum())
    generator = np.random.default_rng(parameters["seed"])
    found = correlation(values[there], order[there], generator, groups=numbers, resamples=parameters["resamples"])
    return known(found.spearman), known(found.spearman_error), found.n_samples


def _order_in_words(parameters: dict[str, Any]) -> str:
    """Which bond order: its l, of which neighbours, chosen how."""
    if parameters["order_cutoff_A"] is not None:
        how = f"within {parameters['order_cutoff_A']:g} Å"
    elif parameters["order_n_neighbours"] is not None:
        how = f"{parameters['order_n_neighbours']} nearest"
    else:
        how = "Voronoi"
    return f"l = {parameters['order_degree']}, {' '.join(parameters['order_neighbours'] or ['all'])}, {how}"


def _density(values: np.ndarray, width: float, least: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Edges of bins that are multiples of a width, and the probability density in them; its integral is 1."""
    low = values.min() if least is None else least
    edges = width * np.arange(np.floor(low / width), np.floor(values.max() / width) + 2)
    return edges, np.histogram(values, edges, density=True)[0]
