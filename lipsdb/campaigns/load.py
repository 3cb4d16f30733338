"""Reading a campaign file: every error of the file at once, one line each, with its line, column and field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lipsdb.campaigns.classifier_problems import classifier_problems
from lipsdb.campaigns.dft_problems import dft_problems
from lipsdb.campaigns.engines import settings_model, settings_problems
from lipsdb.campaigns.md import MolecularDynamics
from lipsdb.campaigns.problems import Problem, describe_all, did_you_mean, is_in, marked_values
from lipsdb.campaigns.properties import Arrhenius, Diffusion, Lattice, OfRun
from lipsdb.campaigns.schema import Campaign
from lipsdb.campaigns.yaml_file import YamlFile, YamlPath, read_yaml
from lipsdb.errors import BadInputError
from lipsdb.potentials.engines import ENGINES, engine

# Tables that show nothing without a property of the same name, or of this kind.
_TABLES_OF_OTHERS = frozenset({"labels", "reproduce", "potentials", "extrapolation", "classifiers", "cost"})
_NEEDED = {"conductivity": "diffusion"}
RECORD = "record.json"
RECORDED = {"potential": "model files", "labels": "labels"}  # what stands in a folder beside its record


@dataclass(frozen=True)
class CampaignFile:
    """A valid campaign and the file it came from."""

    path: Path
    text: str
    campaign: Campaign

    def resolve(self, relative: str) -> Path:
        """Absolute path of a file that the campaign names relative to itself."""
        return (self.path.parent / relative).resolve()


def load_campaign(path: str | Path, *, check_files: bool = True) -> CampaignFile:
    """Read and check a campaign file.

    Parameters
    ----------
    path : path of the YAML file
    check_files : bool
        Whether the files that the campaign names (structures, adopted potentials and labels) must be there.

    Returns
    -------
    CampaignFile

    Raises
    ------
    BadInputError
        One line for each error: ``FILE:LINE:COLUMN: FIELD: value received, what is allowed, what was probably meant``.
    """
    source = read_yaml(Path(path))
    problems: list[Problem] = []
    campaign = None
    try:
        campaign = Campaign.model_validate(source.data)
    except ValidationError as error:
        problems += describe_all(error, source.data, Campaign)
    problems += _mark_problems(source, check_files)
    problems += _training_problems(source.data)
    if campaign is not None and not problems:
        problems += _consistency_problems(source, campaign, check_files)
    if problems or campaign is None:
        raise BadInputError("\n".join(_lines(source, problems)))
    return CampaignFile(source.path, source.text, campaign)


def _lines(source: YamlFile, problems: list[Problem]) -> list[str]:
    """One line a problem, in the order of the file."""
    placed = sorted({(source.position(p.path, key=p.at_key), p.field, p.message) for p in problems})
    return [
        f"{source.path}:{line}:{column}: {field + ': ' if field else ''}{' '.join(message.split())}"
        for (line, column), field, message in placed
    ]


def _section(data: dict[str, Any], name: str) -> dict[str, Any]:
    """A section of the raw data; empty if it is missing or not a mapping (which the model reports)."""
    section = data.get(name)
    return section if isinstance(section, dict) else {}


def _mark_problems(source: YamlFile, check_files: bool) -> Iterator[Problem]:
    """Names that are not defined in the file, and files that are not there."""
    for path, node, value in marked_values(Campaign.model_json_schema(), source.data):
        if not isinstance(value, str):
            continue
        if "refers_to" in node:
            section, kind = node["refers_to"], node.get("refers_to_kind")
            entries = _section(source.data, section)
            names = [
                str(n) for n, e in entries.items() if kind is None or (isinstance(e, dict) and e.get("kind") == kind)
            ]
            if value not in names:
                of_kind = f" of kind {kind}" if kind else ""
                yield Problem(path, f"received {value!r}, no entry of {section}{of_kind}{did_you_mean(value, names)}")
        elif "path_to" in node and check_files:
            yield from _file_problems(path, node["path_to"], value, source.path.parent / value)


def _file_problems(path: tuple[str | int, ...], what: str, value: str, target: Path) -> Iterator[Problem]:
    if what == "file" and not target.is_file():
        yield Problem(path, f"received {value!r}, no such file: give a path relative to the campaign file")
    if what in RECORDED and not (target / RECORD).is_file():
        reason = f"no {RECORD} in that folder" if target.is_dir() else "no such folder"
        yield Problem(path, f"received {value!r}, {reason}: give a folder with {RECORDED[what]} and {RECORD}")


def _training_problems(data: dict[str, Any]) -> Iterator[Problem]:
    """What the engines say to the settings of trainings."""
    for name, potential in _section(data, "potentials").items():
        train = potential.get("train") if isinstance(potential, dict) else None
        if isinstance(train, dict) and isinstance(train.get("engine"), str) and isinstance(train.get("settings"), dict):
            yield from settings_problems(train["engine"], train["settings"], ("potentials", name, "train", "settings"))


def _grid_problems(campaign: Campaign) -> Iterator[Problem]:
    """What the engines say to the settings of the members of grids, each once."""
    for name, grid in campaign.grids.items():
        known = settings_model(grid.engine)
        fields = known.model_fields if known is not None else {}
        for key in grid.over.keys() - fields.keys():
            allowed = did_you_mean(key, fields)
            yield Problem(("grids", name, "over", key), f"not a setting of {grid.engine}{allowed}", at_key=True)
        if not grid.over.keys() <= fields.keys():
            continue
        found: dict[str, Problem] = {}
        members: dict[str, str] = {}
        for member, settings in grid.expand():
            problems = settings_problems(grid.engine, settings, ("grids", name, "settings"))
            if known is not None and not problems:
                complete = known.model_validate(settings).model_dump_json()
                if complete in members:
                    same = f"{members[complete]} and {member} are the same potential: remove one"
                    yield Problem(("grids", name, "over"), same)
                members[complete] = member
            for problem in problems:
                varied = problem.path[3:4] and problem.path[3] in grid.over
                path = ("grids", name, "over", *problem.path[3:4]) if varied else problem.path
                found.setdefault(problem.message, Problem(path, f"{problem.message} ({member})"))
        yield from found.values()


def _watch_problems(campaign: Campaign, folder: Path, check_files: bool) -> Iterator[Problem]:
    """MD that is to be watched by the extrapolation grade of a potential that gives none."""
    for name, md in campaign.md.items():
        if md.extrapolation is None:
            continue
        potential = campaign.potentials[md.potential]
        used = potential.train.engine if potential.train is not None else None
        if potential.adopt is not None and check_files:
            used = _engine_of_record(folder / potential.adopt / RECORD)
        if used in ENGINES and not engine(used).grades:
            able = ", ".join(one for one in ENGINES if engine(one).grades)
            yield Problem(
                ("md", name, "extrapolation"),
                f"potentials of the engine {used} have no extrapolation grade: remove it, or take one of {able}",
            )


def _engine_of_record(path: Path) -> str | None:
    """Engine of the potential of a record; None if it cannot be told, which adopting it will say."""
    try:
        documents = json.loads(path.read_text("utf-8"))["documents"]
        return next(str(one["asked"]["engine"]) for one in documents if one["kind"] == "potential")
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        return None


def _consistency_problems(source: YamlFile, campaign: Campaign, check_files: bool) -> Iterator[Problem]:
    """What each entry allows by itself but not together with the others."""
    folder = source.path.parent
    elements: dict[str, set[str]] = {}
    for name, structure in campaign.structures.items():
        if structure.relax is not None or (structure.crystal is None and not check_files):
            continue
        try:
            structure.build(folder)
            elements[name] = structure.elements(folder)
        except BadInputError as error:
            yield Problem(("structures", name, "file" if structure.crystal is None else "crystal"), str(error))
    for name, md in campaign.md.items():
        yield from {p.message: p for run in md.expand() for p in settings_problems("md", run, ("md", name))}.values()
    elements = _with_relaxed(campaign, elements)
    yield from _grid_problems(campaign)
    yield from _watch_problems(campaign, folder, check_files)
    yield from dft_problems(campaign, folder, elements, check_files=check_files)
    yield from classifier_problems(campaign, elements)
    yield from _element_problems(source, campaign, elements)
    yield from _default_problems(source, campaign, elements)
    for name, prop in campaign.properties.items():
        if isinstance(prop, Arrhenius):
            yield from _arrhenius_problems(campaign, name, prop)
        elif isinstance(prop, OfRun):
            md = campaign.md[prop.of]
            yield from _time_problems(md, name, prop)
            for path, message in prop.problems(elements.get(md.structure), folder if check_files else None):
                yield Problem(("properties", name, *path), message)
            unusable = prop.unusable(md) if isinstance(prop, Lattice) else None
            if unusable is not None:
                yield Problem(("properties", name, "of"), f"received {prop.of!r}, {unusable}")
    kinds = {prop.kind for prop in campaign.properties.values()}
    for i, table in enumerate(campaign.tables):
        needed = _NEEDED.get(table, table)
        if table not in _TABLES_OF_OTHERS and needed not in kinds:
            yield Problem(("tables", i), f"received {table!r}, which needs a property of kind {needed}: add one")


def _with_relaxed(campaign: Campaign, elements: dict[str, set[str]]) -> dict[str, set[str]]:
    """The elements of relaxed structures too: those of what is relaxed."""
    found = dict(elements)
    for name, structure in campaign.structures.items():
        source, seen = structure, {name}
        while source.relax is not None and source.relax.structure not in seen:
            seen.add(source.relax.structure)
            if source.relax.structure in elements:
                found[name] = elements[source.relax.structure]
            source = campaign.structures[source.relax.structure]
    return found


def _element_problems(source: YamlFile, campaign: Campaign, elements: dict[str, set[str]]) -> Iterator[Problem]:
    """Elements that a property names and the structure of its MD doesn't hold."""
    for path, node, symbol in marked_values(Campaign.model_json_schema(), source.data):
        if path[0] != "properties" or "is_element" not in node:
            continue
        prop = campaign.properties[str(path[1])]
        md = campaign.md.get(getattr(prop, "of", ""))
        present = elements.get(md.structure) if md is not None else None
        if md is not None and present is not None and symbol not in present:
            where = f"not in the structure {md.structure}"
            yield Problem(path, f"received {symbol!r}, {where}{did_you_mean(symbol, present)}")


def _default_problems(source: YamlFile, campaign: Campaign, elements: dict[str, set[str]]) -> Iterator[Problem]:
    """Elements that a property has if none are named, and the structure of its MD doesn't hold."""
    defaults: dict[YamlPath, list[str]] = {}
    complete = {name: prop.model_dump(mode="json") for name, prop in campaign.properties.items()}
    for path, node, symbol in marked_values(Campaign.model_json_schema(), {"properties": complete}):
        field = path[:-1] if isinstance(path[-1], int) else path
        if isinstance(symbol, str) and "is_element" in node and not is_in(source.data, field):
            defaults.setdefault(field, []).append(symbol)
    for field, symbols in defaults.items():
        prop = campaign.properties[str(field[1])]
        md = campaign.md[prop.of] if isinstance(prop, OfRun) else None
        present = elements.get(md.structure) if md is not None else None
        if md is not None and present is not None and not present.issuperset(symbols):
            absent, there = sorted(set(symbols) - present), ", ".join(sorted(present))
            yield Problem(
                field,
                f"is {', '.join(symbols)} if left out, but {', '.join(absent)} {'is' if len(absent) == 1 else 'are'} "
                f"not in the structure {md.structure} (it has {there}): give {field[-1]}",
            )


def _arrhenius_problems(campaign: Campaign, name: str, prop: Arrhenius) -> Iterator[Problem]:
    """A slope needs two temperatures, three for its uncertainty, and one pressure."""
    diffusion = campaign.properties[prop.of]
    md = campaign.md[diffusion.of] if isinstance(diffusion, Diffusion) else None
    temperatures, pressures = (md.temperatures_K, md.pressures_bar or []) if md is not None else ([], [])
    if len(temperatures) < 3:
        yield Problem(
            ("properties", name, "of"),
            f"received {prop.of!r}, an MD at {len(temperatures)} temperatures: a fit with uncertainty needs at least 3",
        )
    if len(pressures) > 1:
        yield Problem(
            ("properties", name, "of"),
            f"received {prop.of!r}, an MD at {len(pressures)} pressures: a fit needs one; give each an MD of its own",
        )


def _time_problems(md: MolecularDynamics, name: str, prop: OfRun) -> Iterator[Problem]:
    """Times that are no multiples of the one between the frames of the MD, or as long as a run."""
    for field, time in prop.times_in_frames():
        try:
            md.lag_of(time)
        except ValueError as error:
            received = f"received {time:g}" if field[0] in prop.model_fields_set else f"is {time:g} if left out"
            yield Problem(("properties", name, *field), f"{received}, {error}")
