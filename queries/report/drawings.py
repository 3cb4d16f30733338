"""The figures of a report, each with what stands below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from lipsdb.queries.report.contents import Contents

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


def comparison_drawings(contents: Contents) -> Iterator[Drawing]:
    """Our Ea and σ(300 K) beside the published ones, one figure a structure."""
    from lipsdb.queries.figures.published_comparison import comparison_figure

    structures = dict.fromkeys(fit["answer"]["conditions"]["structure"] for fit in contents.of("arrhenius"))
    for number, structure in enumerate(structures):
        fits = [fit for fit in contents.of("arrhenius") if fit["answer"]["conditions"]["structure"] == structure]
        published = [result for result in contents.published if result.structure == structure]
        if published:
            yield drawing(
                f"comparison-{number}",
                comparison_figure(fits, published),
                fits,
                f"{structure}: this campaign with its standard deviation (Ea) and 68 % interval (σ), beside published "
                "values, which are printed without uncertainty.",
            )


def arrhenius_drawing(contents: Contents) -> Drawing | None:
    """D against 1000/T."""
    from lipsdb.queries.figures.arrhenius import arrhenius_figure

    if not contents.of("arrhenius"):
        return None
    figure = arrhenius_figure(contents.of("arrhenius"), contents.of("diffusion"), contents.published)
    return drawing(
        "arrhenius",
        figure,
        [*contents.of("arrhenius"), *contents.of("diffusion")],
        "Large points: replicas combined at each temperature, with the standard deviation; open if the MSD was not "
        "linear in time in all of them. Faint points: single runs. Line: weighted fit, dashed where it is "
        "extrapolated; shaded: 68 % of the fit. Published lines (dotted: simulation, dash-dotted: experiment) go "
        "through σ(300 K), turned into D with the density of mobile ions of our coldest runs and Haven ratio 1, with "
        "the published Ea; sources that give only one of both have no line.",
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

    names = {document["_id"]: document["answer"]["name"] for document in contents.structures}
    groups: dict[str, list[dict[str, object]]] = {}
    for run in contents.runs:
        link = next(link for link in run["inputs"] if link["role"] == "structure")
        settings = run["asked"]["settings"]
        groups.setdefault(f"{names.get(link['id'], link['id'])}, {settings['ensemble'].upper()}", []).append(run)
    for number, (title, runs) in enumerate(groups.items()):
        yield drawing(
            f"runs-{number}",
            run_health_figure(runs),
            runs,
            "Means over short blocks of production. Energy: potential energy per atom relative to its mean over the "
            "run; a drift means that the structure still changes.",
            title,
        )


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
