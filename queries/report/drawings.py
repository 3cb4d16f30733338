"""The figures of a report, each with what stands below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from lipsdb.queries.report.contents import Contents, ensemble_of
from lipsdb.queries.report.run_table import potential_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from lipsdb.queries.figures.descriptors import Figure


@dataclass(frozen=True)
class Drawing:
    """A figure for the page.

    Attributes
    ----------
    name : str
        Unique on the page.
    title : str
        Stands above it; empty if the section's heading says it.
    data : Markup
        The figure as JSON that can stand within a script element.
    height : int
        Pixels, kept free before it is drawn.
    caption : str
    documents : sequence of str
        Ids of what is drawn.
    """

    name: str
    title: str
    data: Markup
    height: int
    caption: str
    documents: Sequence[str]


def drawing(name: str, figure: go.Figure, drawn: Sequence[Mapping[str, Any]], caption: str, title: str = "") -> Drawing:
    """Prepare a figure of documents for the page."""
    # within a script only '<' could end it; in JSON it may stand escaped in any string
    text = figure.to_json().replace("<", "\\u003c")
    return Drawing(
        name, title, Markup(text), int(figure.layout.height), caption, [document["_id"] for document in drawn]
    )


def msd_drawings(contents: Contents) -> Iterator[Drawing]:
    """Mean squared displacements."""
    from lipsdb.queries.figures.msd import msd_figure

    for number, (title, documents) in enumerate(contents.grouped("diffusion").items()):
        yield drawing(
            f"msd-{number}",
            msd_figure(documents),
            documents,
            "One curve a run, replicas with different dashes, shaded by one standard deviation. Thick with points: the "
            "fitted window (open points: not linear in time); grey and dashed: the line 6 D t + c with the D found. A "
            "diffusing species runs parallel to the guide of slope 1.",
            title,
        )


def coordination_drawings(contents: Contents) -> Iterator[Drawing]:
    """Shares of coordination numbers."""
    from lipsdb.queries.figures.coordination import coordination_figure

    for number, (title, documents) in enumerate(contents.grouped("coordination").items()):
        answer, parameters = documents[0]["answer"], documents[0]["asked"]["parameters"]
        yield drawing(
            f"coordination-{number}",
            coordination_figure(documents),
            documents,
            f"{answer['neighbour']} atoms within {parameters['cutoff_A']:g} Å of {answer['centre']}, over all frames; "
            "replicas averaged.",
            title,
        )


def descriptor_drawings(contents: Contents) -> dict[str, list[Drawing]]:
    """Descriptors of structure and dynamics, by the section that they stand in."""
    from lipsdb.queries.figures.descriptors import FIGURES

    found: dict[str, list[Drawing]] = {}
    for kind, figure in FIGURES.items():
        for number, (title, documents) in enumerate(contents.alike(kind).items()):
            shown, caption = _drawn(figure, documents)
            name = f"{kind.replace('_', '-')}-{number}"
            drawn = drawing(name, shown, documents, caption, f"{figure.title}: {title}")
            found.setdefault(figure.family, []).append(drawn)
    for document in contents.classifiers:
        found.setdefault("softness", []).extend(_classifier_drawings(contents, document))
    return found


def _drawn(figure: Figure, documents: Sequence[Mapping[str, Any]]) -> tuple[go.Figure, str]:
    """A figure with its caption; an empty one that says what went wrong, rather than no report, if it has a defect."""
    from lipsdb.queries.figures.theme import new_figure

    try:
        return figure.draw(documents), figure.caption
    except Exception as error:
        said = "could not be drawn, which is a defect of this program; please report it"
        return new_figure(120), f"This figure {said}: {type(error).__name__}: {error}"


def _classifier_drawings(contents: Contents, classifier: Mapping[str, Any]) -> Iterator[Drawing]:
    """Weights of the surroundings beside g(r), if there is one of the same runs, and the choices that were tried."""
    from lipsdb.queries.figures.classifier import grid_figure, weights_figure

    id_ = classifier["_id"]
    runs = {link["id"] for link in classifier["inputs"]}
    beside = [one for one in contents.of("radial_distribution") if one["answer"]["conditions"]["run_id"] in runs]
    yield drawing(
        f"weights-{id_}",
        weights_figure(classifier, beside),
        [classifier, *beside],
        "Weight of the (standardised) number of neighbours at each distance: where it is positive, more neighbours "
        "make an ion softer. Grey: g(r), mean over the runs.",
        f"Weights of {id_[:19]}",
    )
    grid = grid_figure(classifier)
    if grid is not None:
        yield drawing(
            f"grid-{id_}",
            grid,
            [classifier],
            "Balanced accuracy, cross-validated within the training groups, of the choices around the one that was "
            "taken; 0.5 is chance.",
            f"Choices of {id_[:19]}",
        )


def run_drawings(contents: Contents) -> Iterator[Drawing]:
    """Thermodynamic output, one figure a structure, potential and ensemble."""
    from lipsdb.queries.figures.run_health import run_health_figure

    for number, (title, runs) in enumerate(_alike_runs(contents, contents.runs).items()):
        yield drawing(
            f"runs-{number}",
            run_health_figure(runs),
            runs,
            "Means over short blocks of production. Energy: potential energy per atom relative to its mean over the "
            "run; a drift means that the structure still changes.",
            title,
        )


def _alike_runs(contents: Contents, runs: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Runs by structure, potential (where there are several), ensemble and pressure."""
    names = {document["_id"]: document["answer"]["name"] for document in contents.structures}
    several = len({potential_of(run) for run in contents.runs}) > 1
    groups: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        structure = next(link["id"] for link in run["inputs"] if link["role"] == "structure")
        potential = [contents.potential_name(potential_of(run))] if several else []
        parts = [names.get(structure, structure), *potential, ensemble_of(run["asked"]["settings"])]
        groups.setdefault(", ".join(parts), []).append(run)
    return dict(sorted(groups.items()))


def extrapolation_drawings(contents: Contents) -> Iterator[Drawing]:
    """Extrapolation grades along the runs that were watched, one figure a structure, potential and ensemble."""
    from lipsdb.queries.figures.extrapolation import extrapolation_figure

    watched = [run for run in contents.runs if run["answer"].get("extrapolation") is not None]
    for number, (title, runs) in enumerate(_alike_runs(contents, watched).items()):
        yield drawing(
            f"extrapolation-{number}",
            extrapolation_figure(runs),
            runs,
            "Largest extrapolation grade of an atom, one curve a run; up to 1 the potential interpolates between what "
            "it was trained on. Negative times: equilibration. Cross: the run was ended there.",
            f"Extrapolation grade: {title}",
        )


def choice_drawings(contents: Contents) -> Iterator[Drawing]:
    """Error against cost of each grid search for a potential."""
    from lipsdb.queries.figures.potential_choice import potential_choice_figure

    choices = contents.of("potential_choice")
    for number, choice in enumerate(choices):
        within = f"{100 * choice['asked']['parameters']['tolerance']:g} %"
        yield drawing(
            f"potential-choice-{number}",
            potential_choice_figure(choice),
            [choice],
            f"{_in_points(choice)} stands in the points. Errors on {choice['answer']['n_held']} held-out labels "
            f"against the time of energy, forces and virial on one core of one machine. Shaded: within "
            f"{within} of the smallest error, where the quickest is chosen (ring).",
            "Grid search" + (f" {choice['_id'][:17]}" if len(choices) > 1 else ""),
        )


def _in_points(choice: Mapping[str, Any]) -> str:
    from lipsdb.field_names import in_words
    from lipsdb.queries.figures.potential_choice import lines_of

    words, unit = in_words(lines_of(choice["answer"]["rows"], choice["asked"]["parameters"]["over"])[1])
    return f"The {words}{f' ({unit})' if unit else ''}"


def potential_drawings(potential: dict[str, object], number: int) -> Iterator[Drawing]:
    """Parity of energy and force, and the learning curve."""
    from lipsdb.queries.figures.learning_curve import learning_curve_figure
    from lipsdb.queries.figures.parity import MOST_POINTS, energy_parity_figure, force_parity_figure

    yield drawing(
        f"parity-energy-{number}",
        energy_parity_figure(potential),
        [potential],
        "Held-out labels. From both axes the mean label energy of the system is taken, so that errors show.",
        "Energy",
    )
    yield drawing(
        f"parity-force-{number}",
        force_parity_figure(potential),
        [potential],
        f"Held-out labels: a random sample of force components, at most {MOST_POINTS} of them.",
        "Force",
    )
    curve = learning_curve_figure(potential)
    if curve is not None:
        yield drawing(
            f"learning-{number}",
            curve,
            [potential],
            "Root mean square errors during training, all stages in a row.",
            "Learning curve",
        )
