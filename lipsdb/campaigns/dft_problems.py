"""What is wrong with the DFT of a campaign beyond its form: levels that cannot be run, times without a frame …"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lipsdb.campaigns.dft import AbInitioMD, SinglePoints
from lipsdb.campaigns.engines import settings_problems
from lipsdb.campaigns.problems import Problem, did_you_mean
from lipsdb.campaigns.schema import Campaign
from lipsdb.campaigns.yaml_file import YamlPath
from lipsdb.errors import BadInputError

if TYPE_CHECKING:
    from lipsdb.documents.level_of_theory import LevelOfTheoryAsked

# DFT code -> which of a level's settings tells the elements that it has, and what of them.
_ELEMENTS = {"cp2k": ("kinds", "basis set"), "vasp": ("potcars", "PAW data set")}


def dft_problems(
    campaign: Campaign, folder: Path, elements: Mapping[str, set[str]], *, check_files: bool = True
) -> Iterator[Problem]:
    """Problems of the section ``dft`` and of structures relaxed by DFT.

    Parameters
    ----------
    campaign : Campaign
        Valid by its form.
    folder : Path
        Of the campaign file.
    elements : mapping
        Name of a structure -> chemical symbols, relaxed structures included, as far as they are known.
    check_files : bool
        Whether the levels of theory in files must be there.
    """
    for name, structure in campaign.structures.items():
        if structure.relax is not None:
            path: YamlPath = ("structures", name, "relax", "level_of_theory")
            level, problems = _level(structure.relax.level_of_theory, path, folder, check_files)
            yield from problems or _missing_elements(level, path, elements.get(name, set()))
    for name, entry in campaign.dft.items():
        path = ("dft", name, "level_of_theory")
        level, problems = _level(entry.level_of_theory, path, folder, check_files)
        present = {symbol for one in _structures(campaign, entry) for symbol in elements.get(one, set())}
        yield from problems or _missing_elements(level, path, present)
        if isinstance(entry, AbInitioMD):
            yield from _aimd_problems(name, entry, level)
        else:
            yield from _time_problems(campaign, name, entry)


def _level(
    name: str, path: YamlPath, folder: Path, check_files: bool
) -> tuple[LevelOfTheoryAsked | None, list[Problem]]:
    """The level of that name, or why it cannot be run; neither if its file is not to be looked at."""
    from lipsdb.dft.levels_of_theory import find_level, packaged_levels, runnable_level

    in_file = name.endswith((".yaml", ".yml"))
    if in_file and not check_files:
        return None, []
    there = str((folder / name).resolve()) if in_file else name
    try:
        level = runnable_level(there)
    except BadInputError as error:
        if in_file:
            return None, [Problem(path, f"received {name!r}: {str(error).replace(there, name)}")]
        runnable = [one for one, level in packaged_levels().items() if level.answer.how_known == "set"]
        known = packaged_levels().get(name)
        why = "no level of theory" if known is None else f"a level that is {known.answer.how_known}, not one to run"
        return None, [Problem(path, f"received {name!r}, {why}{did_you_mean(name, [*runnable, 'a .yaml file'])}")]
    if find_level(there).asked.code not in _ELEMENTS:
        return None, [Problem(path, f"received {name!r}, a level of the code {level.asked.code}: use cp2k or vasp")]
    return level.asked, []


def _structures(campaign: Campaign, entry: SinglePoints | AbInitioMD) -> list[str]:
    """Names of the structures whose atoms an entry computes; none for labels of the database."""
    if isinstance(entry, AbInitioMD):
        return [entry.structure]
    if entry.md is not None:
        return [campaign.md[entry.md].structure]
    if entry.aimd is not None:
        return _structures(campaign, campaign.dft[entry.aimd])
    return entry.structures or []


def _missing_elements(level: LevelOfTheoryAsked | None, path: YamlPath, present: set[str]) -> Iterator[Problem]:
    if level is None or level.code is None:
        return
    setting, what = _ELEMENTS[level.code]
    there = level.settings[setting]
    absent = sorted(present - set(there))
    if absent:
        yield Problem(
            path,
            f"received {level.name!r}, which has no {what} for {', '.join(absent)} (it has "
            f"{', '.join(sorted(there))}): add to its {setting}, or use another level",
        )


def _aimd_problems(name: str, aimd: AbInitioMD, level: LevelOfTheoryAsked | None) -> Iterator[Problem]:
    """What the settings' own model says to each run, and seeds that the code does not take."""
    from lipsdb.dft.settings import LARGEST_SEED, LARGEST_SEEDS

    found = {p.message: p for run in aimd.expand() for p in settings_problems("aimd", run, ("dft", name))}
    yield from found.values()
    code = None if level is None else level.code
    largest = LARGEST_SEEDS.get(str(code), LARGEST_SEED)
    for i, seed in enumerate(aimd.seeds):
        if seed > largest:
            yield Problem(("dft", name, "seeds", i), f"received {seed}, too large for {code}: from 1 to {largest}")


def _time_problems(campaign: Campaign, name: str, points: SinglePoints) -> Iterator[Problem]:
    """Times at which an MD or AIMD has no frame."""
    source = campaign.md[points.md] if points.md is not None else campaign.dft.get(points.aimd or "")
    for i, time in enumerate(points.times_ps or []):
        try:
            if isinstance(source, AbInitioMD):
                source.step_at(time)
            elif source is not None and not isinstance(source, SinglePoints):
                source.frame_at(time)
        except ValueError as error:
            yield Problem(("dft", name, "times_ps", i), f"received {time:g}, {error}")
