"""What is wrong with the classifiers of a campaign beyond their form: too few runs to hold one out, odd windows …"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping

from lipsdb.campaigns.classifiers import Classifier, Motion
from lipsdb.campaigns.md import MolecularDynamics
from lipsdb.campaigns.problems import Problem
from lipsdb.campaigns.properties import NonaffineDisplacement, Softness
from lipsdb.campaigns.schema import Campaign
from lipsdb.campaigns.yaml_file import YamlPath


def classifier_problems(campaign: Campaign, elements: Mapping[str, set[str]]) -> Iterator[Problem]:
    """Problems of the section ``classifiers``, and of properties that say how ions move or how soft they are.

    Parameters
    ----------
    campaign : Campaign
        Valid by its form.
    elements : mapping
        Name of a structure -> chemical symbols, as far as they are known.
    """
    for name, classifier in campaign.classifiers.items():
        place = ("classifiers", name)
        problems = list(_temperature_problems(place, classifier, campaign))
        yield from problems or _group_problems(place, classifier, campaign)
        for md in classifier.md:
            yield from _missing_elements((*place, "md"), classifier, md, campaign, elements)
            yield from _window_problems((*place, "motion"), classifier.motion, campaign.md[md])
            yield from _block_problems((*place, "motion"), classifier.motion, md, campaign.md[md])
    for name, prop in campaign.properties.items():
        place = ("properties", name)
        if isinstance(prop, NonaffineDisplacement):
            yield from _block_problems(place, prop, prop.of, campaign.md[prop.of])
        elif isinstance(prop, Softness):
            classifier = campaign.classifiers[prop.classifier]
            yield from _missing_elements((*place, "of"), classifier, prop.of, campaign, elements)


def runs_of(classifier: Classifier, md: MolecularDynamics) -> list[int]:
    """Which runs of an MD, in its order, a classifier is trained on."""
    wanted = classifier.temperatures_K
    return [i for i, run in enumerate(md.expand()) if wanted is None or run["temperature_K"] in wanted]


def _runs(classifier: Classifier, md: MolecularDynamics) -> Iterator[str]:
    """What tells the runs of a classifier, so that one that several MD ask for counts once."""
    settings = list(md.expand())
    for i in runs_of(classifier, md):
        yield json.dumps([md.structure, md.potential, settings[i]], sort_keys=True)


def _missing_elements(
    place: YamlPath, classifier: Classifier, md: str, campaign: Campaign, elements: Mapping[str, set[str]]
) -> Iterator[Problem]:
    structure = campaign.md[md].structure
    named = {classifier.species, *classifier.surroundings.elements, *(classifier.motion.neighbours or [])}
    absent = sorted(named - elements.get(structure, named))
    if absent:
        there = ", ".join(sorted(elements[structure]))
        yield Problem(
            place,
            f"received {md!r}, whose structure {structure} has no {', '.join(absent)} (it has {there}), which the "
            "classifier looks at: name its species, surroundings.elements and motion.neighbours, or another MD",
        )


def _temperature_problems(place: YamlPath, classifier: Classifier, campaign: Campaign) -> Iterator[Problem]:
    present = {temperature for name in classifier.md for temperature in campaign.md[name].temperatures_K}
    for i, temperature in enumerate(classifier.temperatures_K or []):
        if temperature not in present:
            there = ", ".join(f"{one:g}" for one in sorted(present))
            yield Problem((*place, "temperatures_K", i), f"received {temperature:g}, no run has it (allowed: {there})")


def _group_problems(place: YamlPath, classifier: Classifier, campaign: Campaign) -> Iterator[Problem]:
    if classifier.group_by != "run":
        return
    n_runs = len({run for name in classifier.md for run in _runs(classifier, campaign.md[name])})
    n_held = math.ceil(classifier.test_fraction * n_runs)
    if n_runs - n_held < 1:
        yield Problem(
            (*place, "group_by"),
            f"received 'run', but there are {n_runs} runs, of which {n_held} are held out: add seeds, or use ion",
        )
    elif classifier.n_choices > 1 and n_runs - n_held < classifier.folds:
        yield Problem(
            (*place, "folds") if "folds" in classifier.model_fields_set else (*place, "group_by"),
            f"{n_runs} runs, {n_held} of them held out, cannot be cross-validated in {classifier.folds} folds: "
            f"take folds: {max(2, n_runs - n_held)} or more runs, give one value of each choice, or group_by: ion",
        )


def _window_problems(place: YamlPath, motion: Motion, md: MolecularDynamics) -> Iterator[Problem]:
    try:
        md.lag_of(motion.window_ps)
    except ValueError as error:
        given = "window_ps" in motion.model_fields_set
        received = f"received {motion.window_ps:g}" if given else f"is {motion.window_ps:g} if left out"
        yield Problem((*place, "window_ps"), f"{received}, {error}")


def _block_problems(place: YamlPath, motion: Motion, name: str, md: MolecularDynamics) -> Iterator[Problem]:
    length = motion.window_ps * motion.increments
    if length > md.production_ps * (1 + 1e-9):
        yield Problem(
            (*place, "increments") if "increments" in motion.model_fields_set else (*place, "window_ps"),
            f"a block of {motion.increments} windows lasts {length:g} ps, must not be longer than the production of "
            f"{name} ({md.production_ps:g} ps)",
        )
