"""Writing the report: everything of a campaign in one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lipsdb
from lipsdb.documents.base import now
from lipsdb.errors import BadInputError
from lipsdb.queries.report.contents import Contents, read_contents
from lipsdb.queries.report.drawings import Drawing
from lipsdb.queries.report.origins import Origins
from lipsdb.queries.report.references import references_of, repositories_of, versions_of

if TYPE_CHECKING:
    from lipsdb.provenance.audit.findings import AuditReport
    from lipsdb.provenance.withdrawal import Taint
    from lipsdb.queries.tables import Table
    from lipsdb.store.database import Database

TABLES = ("arrhenius", "conductivity", "diffusion", "coordination", "potentials", "cost")
_AUDIT_FINDINGS_SHOWN = 200
_SECTIONS = (
    ("answer", "Answer"),
    ("arrhenius", "Arrhenius"),
    ("msd", "MSD"),
    ("potential", "Potential"),
    ("prediction-errors", "Prediction errors"),
    ("coordination", "Coordination"),
    ("descriptors", "Structure and dynamics"),
    ("runs", "Runs"),
    ("tables", "Tables"),
    ("withdrawals", "Withdrawals"),
    ("audit", "Audit"),
    ("reproduce", "Reproduce"),
    ("references", "References"),
)


@dataclass(frozen=True)
class _Answer:
    """What stands on top: one Arrhenius fit, written out."""

    id: str
    structure: str
    species: str
    potential: str  # empty if there is one for all
    n_temperatures: int
    temperature: str
    Ea: str
    sigma: str
    sigma_68: str
    sigma_95: str
    flags: list[tuple[str, str, str]]  # flag, meaning, class of the badge
    excluded: tuple[str, ...]


@dataclass(frozen=True)
class _Potential:
    id: str
    name: str
    about: str
    drawings: list[Drawing]


@dataclass(frozen=True)
class _Standing:
    """What stands on withdrawn documents, and whether it is left out."""

    taint: Taint
    exclude: bool

    @property
    def asked(self) -> dict[str, Any]:
        """What each query is asked with."""
        return {"taint": self.taint, "exclude_tainted": self.exclude}

    def tainted(self, documents: Sequence[str]) -> str:
        """How many of the documents of a figure stand on withdrawn ones; empty if none do."""
        number = sum(bool(self.taint.of(id_)) for id_ in documents)
        if not number:
            return ""
        what = (
            "what is drawn here stands" if number == len(documents) else f"{number} of {len(documents)} results stand"
        )
        return f"{what} on withdrawn documents, which are named below under Withdrawals"


def write_report(
    database: Database,
    campaign: str,
    path: str | Path,
    *,
    audit: AuditReport | None = None,
    exclude_tainted: bool = False,
) -> Path:
    """Write a campaign's report: one HTML file that loads nothing.

    Parameters
    ----------
    database : Database
    campaign : str
        Name of the campaign.
    path : path
        The file to write; an existing one is replaced once the new one is complete.
    audit : AuditReport, optional
        Outcome of an audit, shown if given.
    exclude_tainted : bool
        Leave out what stands on withdrawn documents, instead of marking it.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    NotFoundError
        If there is no such campaign; names those that there are.
    BadInputError
        If the file cannot be written.
    """
    from markupsafe import Markup

    from lipsdb.provenance.withdrawal import taint

    target = Path(path)
    if target.is_dir() or not target.absolute().parent.is_dir():
        raise BadInputError(
            f"{str(path)!r} cannot be written; give a file in a folder that exists, such as report.html"
        )
    stand = _Standing(taint(database), exclude_tainted)
    contents = read_contents(database, campaign)
    text = _page(database, contents.without(stand.taint) if exclude_tainted else contents, audit, stand, Markup)
    temporary = target.with_name(f".{target.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)
    except OSError as error:
        raise BadInputError(f"{str(path)!r} cannot be written: {error.strerror}; give another file") from error
    return target


def _page(database: Database, contents: Contents, audit: AuditReport | None, stand: _Standing, markup: Any) -> str:
    from jinja2 import Environment, StrictUndefined
    from plotly.offline import get_plotlyjs

    from lipsdb.queries.catalogue import QUERIES
    from lipsdb.queries.cost import WORK, CostRow
    from lipsdb.queries.report import drawings, fit_drawings
    from lipsdb.queries.report.html_table import html_table
    from lipsdb.queries.report.run_table import run_rows, run_table
    from lipsdb.queries.tainting import mark

    origins = Origins(database)
    answers = list(_answers(database, contents, origins, stand))
    kinds = {work: kind for kind, work in WORK.items()}

    def of_cost(row: CostRow) -> list[str]:
        return contents.of_work(kinds.get(row.work), row.activity, elsewhere=row.elsewhere)

    choices = html_table(  # all rows of a search are from one document: it is named once
        QUERIES["potential_choice"].table(database, contents.name, **stand.asked),
        origins,
        lambda row: [row.id] if row.chosen else [],
    )
    grades = html_table(QUERIES["extrapolation"].table(database, contents.name, **stand.asked), origins)
    test = html_table(QUERIES["prediction_errors"].table(database, contents.name, **stand.asked), origins)
    withdrawals = html_table(_withdrawals(database, contents.name, stand), origins)
    tables = [
        html_table(table, origins, of_cost if table.name == "cost" else None)
        for table in _tables(database, contents.name, stand)
    ]
    marked = mark(run_rows(contents), stand.taint)
    runs = html_table(marked.remarked(run_table(marked.rows)), origins)
    potentials = list(_potentials(contents, origins))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["tainted"] = stand.tainted
    environment.filters["printed"] = lambda value: "" if value is None else _printed(value)
    folder = resources.files(__package__)
    descriptors = drawings.descriptor_drawings(contents)
    absent = {name for name, there in (("withdrawals", withdrawals.rows), ("descriptors", descriptors)) if not there}

    def own(name: str) -> str:
        return folder.joinpath(name).read_text(encoding="utf-8")

    template = environment.from_string(own("page.html"))
    return template.render(
        contents=contents,
        version=lipsdb.__version__,
        css=markup(own("page.css")),
        script=markup(own("page.js")),
        plotly=markup(get_plotlyjs()),
        facts=_facts(contents),
        sections=[section for section in _SECTIONS if section[0] not in absent],
        withdrawals=withdrawals,
        clean=" that stands on nothing withdrawn" if stand.exclude else "",
        answers=answers,
        comparisons=list(fit_drawings.comparison_drawings(contents)),
        arrhenius=list(fit_drawings.arrhenius_drawings(contents)),
        msds=list(drawings.msd_drawings(contents)),
        potentials=potentials,
        choices=list(drawings.choice_drawings(contents)),
        choice_table=choices,
        extrapolations=list(drawings.extrapolation_drawings(contents)),
        extrapolation_table=grades,
        test_table=test,
        coordinations=list(drawings.coordination_drawings(contents)),
        descriptors=descriptors,
        runs=list(drawings.run_drawings(contents)),
        run_table=runs,
        tables=tables,
        audit=audit,
        last_audit=_last_audit(database, contents.name),
        audit_shown=_AUDIT_FINDINGS_SHOWN,
        file_name=contents.campaign["answer"]["file"]["name"],
        made_with=versions_of(contents),
        commits=sorted({d["made_by"]["commit"] for d in contents.documents() if d["made_by"].get("commit")}),
        hosts=sorted({document["made_by"]["host"] for document in contents.documents()}),
        references=references_of(contents),
        repositories=repositories_of(contents),
        written=f"{now():%Y-%m-%d %H:%M} UTC",
        database_name=database.mongo.name,
        trees={id_: markup(tree) for id_, tree in origins.trees().items()},
    )


def _printed(value: float) -> str:
    from lipsdb.queries.cells import format_number

    digits = len(f"{value:.15g}".partition("e")[0].replace(".", "").replace("-", "").strip("0"))
    return format_number(value, max(digits, 2))


def _withdrawals(database: Database, campaign: str, stand: _Standing) -> Table:
    """The withdrawals in force that concern a campaign."""
    from lipsdb.queries import withdrawals

    found = withdrawals.rows(database, campaign) if stand.taint.withdrawn else []
    return withdrawals.table([row for row in found if row.withdrawn])


def _last_audit(database: Database, campaign: str) -> tuple[str, str] | None:
    """Summary and id of the newest stored audit of the database or the campaign."""
    from lipsdb.provenance.summaries import summary_fields, summary_of

    chosen = {"asked.campaign": {"$in": [None, campaign]}}
    found = database.query("audits", chosen, summary_fields("audit"), {"asked.started_at": -1}, 1)
    return next(((summary_of(document).removeprefix("audit: "), document["_id"]) for document in found), None)


def _tables(database: Database, campaign: str, stand: _Standing) -> Iterator[Any]:
    from lipsdb.queries.catalogue import QUERIES
    from lipsdb.queries.descriptors import DESCRIPTORS

    for name in TABLES:
        yield QUERIES[name].table(database, campaign, **stand.asked)
    for name in ("classifiers", *(descriptor.kind for descriptor in DESCRIPTORS)):
        table = QUERIES[name].table(database, campaign, **stand.asked)
        if table.rows or table.withdrawals:
            yield table


def _answers(database: Database, contents: Contents, origins: Origins, stand: _Standing) -> Iterator[_Answer]:
    from lipsdb.queries.catalogue import QUERIES
    from lipsdb.queries.cells import format_measured, format_number, format_range
    from lipsdb.queries.report.html_table import flag_class
    from lipsdb.queries.tables import FOOTNOTES, potential_name

    found = QUERIES["arrhenius"].rows(database, contents.name, **stand.asked)
    several = len({row.potential_id for row in found}) > 1
    for row in found:
        origins.ask([row.id])
        yield _Answer(
            id=row.id,
            structure=row.structure,
            species=row.species,
            potential=potential_name(row.potential_id, row.engine) if several else "",
            n_temperatures=row.n_temperatures,
            temperature=f"{row.target_temperature_K:g}",
            Ea=format_measured(row.Ea_eV, row.Ea_std_eV),
            sigma=format_number(row.sigma_target_S_cm, 2),
            sigma_68=format_range(*row.sigma_target_68_S_cm),
            sigma_95=format_range(*row.sigma_target_95_S_cm),
            flags=[(flag, FOOTNOTES[flag], flag_class(flag)) for flag in row.flags],
            excluded=row.excluded,
        )


def _potentials(contents: Contents, origins: Origins) -> Iterator[_Potential]:
    from lipsdb.queries.report.drawings import potential_drawings

    shown = _potentials_shown(contents)
    for number, document in enumerate(shown):
        origins.ask([document["_id"]])
        answer = document["answer"]
        overall = next((errors for errors in answer["errors"] if errors["system"] == "all"), None)
        about = f"Elements {', '.join(answer['elements'])}; cutoff {answer['cutoff_A']:g} Å"
        about += f"; level {level}." if (level := document["asked"]["settings"].get("level")) else "."
        if overall is not None:
            about += (
                f" On {overall['n_frames']} held-out labels: "
                f"energy MAE {overall['energy_mae_meV_per_atom']:.1f} meV/atom, "
                f"force MAE {overall['force_mae_meV_per_A']:.0f} meV/Å. By system in the table of potentials."
            )
        name = f"{document['asked']['engine']} potential"
        yield _Potential(document["_id"], name, about, list(potential_drawings(document, number)))


def _potentials_shown(contents: Contents) -> list[dict[str, Any]]:
    """Potentials but those members of grid searches that were neither chosen nor used: these stand in its table."""
    from lipsdb.queries.report.run_table import potential_of

    choices = [choice["answer"] for choice in contents.of("potential_choice")]
    used = {choice["chosen_id"] for choice in choices} | {potential_of(run) for run in contents.runs}
    others = {row["potential_id"] for choice in choices for row in choice["rows"]} - used
    return [document for document in contents.potentials if document["_id"] not in others]


def _facts(contents: Contents) -> list[tuple[str, str]]:
    """Counts for the head of the page: (value, what)."""
    simulated = sum(run["answer"]["frame_interval_ps"] * max(run["answer"]["n_frames"] - 1, 0) for run in contents.runs)
    cost = sum(document["made_by"]["core_seconds"] for document in contents.documents()) / 3600.0
    facts = [
        (f"{contents.campaign['made_by']['finished_at']:%Y-%m-%d %H:%M} UTC", "submitted"),
        _count(contents.structures, "structure"),
        _count(contents.potentials, "potential"),
        _count(contents.runs, "run"),
        (f"{simulated:.4g} ps", "of production"),
        (f"{cost:.3g}", "core hours"),
    ]
    return facts


def _count(documents: list[dict[str, Any]], kind: str) -> tuple[str, str]:
    return str(len(documents)), kind if len(documents) == 1 else f"{kind}s"
