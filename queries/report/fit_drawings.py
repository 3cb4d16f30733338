"""The figures of Arrhenius fits: D against 1000/T, and Ea and σ beside published values, with potentials kept apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lipsdb.queries.report.contents import Contents, ensemble_of
from lipsdb.queries.report.drawings import Drawing, drawing


def comparison_drawings(contents: Contents) -> Iterator[Drawing]:
    """Our Ea and σ(300 K) beside the published ones, one figure a structure."""
    from lipsdb.queries.figures.published_comparison import comparison_figure

    styles = _styles(contents)
    for number, (structure, fits) in enumerate(_by_structure(contents).items()):
        names = _names(contents, fits)
        published = [result for result in contents.published if result.structure == structure]
        if published:
            yield drawing(
                f"comparison-{number}",
                comparison_figure(
                    fits,
                    published,
                    names if len(set(names)) == len(names) else None,
                    [styles[fit["_id"]] for fit in fits],
                ),
                fits,
                f"{structure}: this campaign with its standard deviation (Ea) and 68 % interval (σ), beside published "
                "values, which are printed without uncertainty.",
            )


def _by_structure(contents: Contents) -> dict[str, list[dict[str, Any]]]:
    """Arrhenius fits by structure."""
    found: dict[str, list[dict[str, Any]]] = {}
    for fit in contents.of("arrhenius"):
        found.setdefault(fit["answer"]["conditions"]["structure"], []).append(fit)
    return found


def _potentials_of(fits: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(fit["answer"]["conditions"]["potential_id"] for fit in fits))


def _names(contents: Contents, fits: Sequence[Mapping[str, Any]]) -> list[str]:
    """What tells Arrhenius fits of one figure apart: structure, potential, ensemble and species, as far as they differ.

    The potential is named wherever the campaign has several.
    """
    parts = [
        (
            fit["answer"]["conditions"]["structure"],
            contents.potential_name(fit["answer"]["conditions"]["potential_id"]),
            ensemble_of(fit["answer"]["conditions"]),
            fit["answer"]["species"],
        )
        for fit in fits
    ]
    differ = [len(set(values)) > 1 for values in zip(*parts, strict=True)]
    differ[1] |= len(_potentials_of(contents.of("arrhenius"))) > 1
    return [", ".join(part for part, shown in zip(one, differ, strict=True) if shown) or one[0] for one in parts]


def _styles(contents: Contents) -> dict[str, int]:
    """Number of the colour of each Arrhenius fit: the same for a potential wherever it stands, if there are several."""
    fits = contents.of("arrhenius")
    if len(_potentials_of(fits)) < 2:
        return {fit["_id"]: number for number, fit in enumerate(fits)}
    kinds: dict[tuple[str, str, str], int] = {}
    numbers = {}
    for fit in sorted(fits, key=lambda fit: contents.potential_name(fit["answer"]["conditions"]["potential_id"])):
        conditions = fit["answer"]["conditions"]
        kind = (conditions["potential_id"], ensemble_of(conditions), fit["answer"]["species"])
        numbers[fit["_id"]] = kinds.setdefault(kind, len(kinds))
    return numbers


def arrhenius_drawings(contents: Contents) -> Iterator[Drawing]:
    """D against 1000/T: all structures in one figure or, if there are several potentials, those of each structure."""
    if len(_potentials_of(contents.of("arrhenius"))) < 2:
        if contents.of("arrhenius"):
            yield _arrhenius_drawing("arrhenius", contents, contents.of("arrhenius"), contents.of("diffusion"), "")
        return
    structures = _by_structure(contents)
    for number, (structure, fits) in enumerate(structures.items()):
        of_these = {link["id"] for fit in fits for link in fit["inputs"]}
        diffusions = [one for one in contents.of("diffusion") if one["_id"] in of_these]
        title = structure if len(structures) > 1 else ""
        yield _arrhenius_drawing(f"arrhenius-{number}", contents, fits, diffusions, title)


def _arrhenius_drawing(
    name: str,
    contents: Contents,
    fits: Sequence[Mapping[str, Any]],
    diffusions: Sequence[Mapping[str, Any]],
    title: str,
) -> Drawing:
    from lipsdb.queries.figures.arrhenius import arrhenius_figure

    styles = _styles(contents)
    figure = arrhenius_figure(
        fits, diffusions, contents.published, _names(contents, fits), [styles[fit["_id"]] for fit in fits]
    )
    return drawing(
        name,
        figure,
        [*fits, *diffusions],
        "Large points: replicas combined at each temperature, with the standard deviation; open if the MSD was not "
        "linear in time in all of them. Faint points: single runs. Line: weighted fit, dashed where it is "
        "extrapolated; shaded: 68 % of the fit. Published lines (dotted: simulation, dash-dotted: experiment) go "
        "through σ(300 K), turned into D with the density of mobile ions of our coldest runs and Haven ratio 1, with "
        "the published Ea; sources that give only one of both have no line.",
        title,
    )
