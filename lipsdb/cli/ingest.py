"""``lipsdb ingest``: labels and potentials in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lipsdb.cli.options import CampaignOption
from lipsdb.cli.terminal import err, next_step, out, progress_bar
from lipsdb.cli.withdraw import changes

if TYPE_CHECKING:
    from lipsdb.ingest.storing import IngestSummary, LabelFormat, PartOutcome

app = typer.Typer(help="Bring labels and potentials in.", no_args_is_help=True)

PathArgument = Annotated[
    Path, typer.Argument(help="File, or folder at or below which the data lie.", show_default=False)
]
LevelOption = Annotated[
    str,
    typer.Option(
        "--level-of-theory",
        "-l",
        help="Level of theory that made the labels: a name, or a YAML file that describes it.",
        show_default=False,
    ),
]
SourceOption = Annotated[
    str | None,
    typer.Option(
        help="What the data set is: a DOI or a name; by default the publication that a packaged level of theory was "
        "inferred from, else the folder's or file's name."
    ),
]
SystemOption = Annotated[
    str | None, typer.Option(help="Name of the system; read off the names of folders and files by default.")
]
ForceLimitOption = Annotated[
    float,
    typer.Option(help="Frames (DeePMD: folders) with a larger force on an atom are refused, eV/Å.", min=0),
]
ElementsOption = Annotated[
    str | None,
    typer.Option(help="Elements of the types 0, 1 …: 'Li,P,S'; needed if the files do not say.", show_default=False),
]


@app.command()
def deepmd(
    path: PathArgument,
    level_of_theory: LevelOption,
    source: SourceOption = None,
    system: SystemOption = None,
    campaign: CampaignOption = None,
    force_limit: ForceLimitOption = 50.0,
) -> None:
    """Read DeePMD-kit npy folders (eV, Å, virial in eV) into labels. Exit code 1 if a folder is refused."""
    from lipsdb.ingest.deepmd import DEEPMD

    _ingest(DEEPMD, path, level_of_theory, source, system, campaign, force_limit)


@app.command()
def extxyz(
    path: PathArgument,
    level_of_theory: LevelOption,
    source: SourceOption = None,
    system: SystemOption = None,
    campaign: CampaignOption = None,
    force_limit: ForceLimitOption = 50.0,
) -> None:
    """Read extended XYZ files (energy, forces, stress or virial) into labels. Exit code 1 if anything is refused.

    The stress is in eV/Å³, positive under tension (ASE); the virial in eV, −volume × stress (QUIP).
    """
    from lipsdb.ingest.extxyz import EXTXYZ

    _ingest(EXTXYZ, path, level_of_theory, source, system, campaign, force_limit)


@app.command()
def vasp(
    path: PathArgument,
    level_of_theory: LevelOption,
    source: SourceOption = None,
    system: SystemOption = None,
    campaign: CampaignOption = None,
    force_limit: ForceLimitOption = 50.0,
) -> None:
    """Read every ionic step of vasprun.xml, else OUTCAR (plain or .gz), into labels. Exit code 1 if any is refused.

    Energies are those without the electrons' entropy; steps whose SCF did not converge are refused.
    """
    from lipsdb.ingest.vasp import VASP

    _ingest(VASP, path, level_of_theory, source, system, campaign, force_limit)


@app.command()
def cp2k(
    path: PathArgument,
    level_of_theory: LevelOption,
    source: SourceOption = None,
    system: SystemOption = None,
    campaign: CampaignOption = None,
    force_limit: ForceLimitOption = 50.0,
) -> None:
    """Read CP2K's outputs (*.out, *.log) into labels. Exit code 1 if anything is refused.

    Single points need forces in the output; of dynamics, the -pos-1.xyz, -frc-1.xyz and -1.cell files must lie beside
    it. Frames whose SCF did not converge are refused.
    """
    from lipsdb.ingest.cp2k import CP2K

    _ingest(CP2K, path, level_of_theory, source, system, campaign, force_limit)


@app.command()
def cfg(
    path: PathArgument,
    level_of_theory: LevelOption,
    elements: ElementsOption = None,
    source: SourceOption = None,
    system: SystemOption = None,
    campaign: CampaignOption = None,
    force_limit: ForceLimitOption = 50.0,
) -> None:
    """Read .cfg files of the MLIP program (PlusStress is the virial, eV) into labels. Exit code 1 if any is refused."""
    from lipsdb.ingest.mlip_cfg import mlip_cfg_format

    symbols = elements.replace(",", " ").split() if elements else None
    _ingest(mlip_cfg_format(symbols), path, level_of_theory, source, system, campaign, force_limit)


def _ingest(
    format: LabelFormat,
    path: Path,
    level_of_theory: str,
    source: str | None,
    system: str | None,
    campaign: str | None,
    force_limit: float,
) -> None:
    from lipsdb.dft.levels_of_theory import find_level
    from lipsdb.ingest.labels import ingest_labels
    from lipsdb.store.database import connect

    level = find_level(level_of_theory)
    published = f"doi:{level.answer.reference}" if level.answer.how_known == "inferred" else None
    with progress_bar() as bar:
        task = bar.add_task("labels", total=None)

        def show(outcome: PartOutcome, done: int, total: int) -> None:
            bar.update(task, description=f"labels of {outcome.system or outcome.folder}", completed=done, total=total)

        summary = ingest_labels(
            connect(),
            format,
            path,
            level_of_theory,
            source=source or published or path.resolve().name,
            system=system,
            campaigns=[campaign] if campaign else [],
            force_limit_eV_A=force_limit,
            progress=show,
        )
    if level.answer.how_known == "named":
        err.print(
            f"level of theory {level.asked.name!r} is known by name only; to record its settings, describe it "
            "in a YAML file and give --level-of-theory FILE.yaml",
            markup=False,
        )
    _print_summary(summary, "folders" if format.name == "deepmd" else "files")
    if summary.refused or summary.n_refused_frames:
        next_step("lipsdb list refused")
        raise typer.Exit(1)
    next_step("lipsdb query labels --by system")


def _print_summary(summary: IngestSummary, what: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("system", "composition", "labels", "new", "folder", title="Labels taken", title_justify="left")
    taken = {folder.folder for folder in summary.folders if folder.refused is None and folder.n_frames}
    for folder in summary.folders:
        if folder.refused is None and folder.n_frames:
            table.add_row(folder.system, folder.formula, str(folder.n_frames), str(folder.n_new), folder.folder)
    if table.row_count:
        out.print(table)
    frames = f" and {summary.n_refused_frames} frames" if summary.n_refused_frames else ""
    out.print(
        f"{len(taken)} {what} taken: {summary.n_new} new labels, {summary.n_known} known before; "
        f"{len(summary.refused)}{frames} refused"
    )
    for folder in summary.folders:
        for reason in [folder.refused] if folder.refused is not None else folder.refused_frames:
            err.print(f"[red]refused[/red] {escape(folder.folder)}: {escape(reason)}")


@app.command()
def potential(
    path: Annotated[Path, typer.Argument(help="Folder that `lipsdb export potential` wrote.", show_default=False)],
    campaign: CampaignOption = None,
) -> None:
    """Adopt a potential that was trained elsewhere, with the record of how it was made."""
    from lipsdb.ingest.record import adopt_potential
    from lipsdb.provenance.withdrawal import taint
    from lipsdb.store.database import connect

    database = connect()
    before = taint(database)
    reference = adopt_potential(database, path, [campaign] if campaign else [])
    out.print(reference["id"])
    for line in changes(before, taint(database)):
        out.print(line)
    next_step(f"lipsdb lineage {reference['id']}")


@app.command()
def record(
    path: Annotated[
        Path,
        typer.Argument(
            help="Folder that `lipsdb export labels --format record` or `lipsdb export potential` wrote.",
            show_default=False,
        ),
    ],
    campaign: CampaignOption = None,
) -> None:
    """Adopt documents that were made elsewhere, labels or a potential, with the record of how they were made."""
    from collections import Counter

    from lipsdb.ingest.record import adopt_record
    from lipsdb.provenance.withdrawal import taint
    from lipsdb.store.database import connect

    database = connect()
    before = taint(database)
    adopted = adopt_record(database, path, [campaign] if campaign else [])
    counts = Counter(reference["collection"] for reference in adopted)
    out.print(f"adopted: {', '.join(f'{number} {name}' for name, number in sorted(counts.items()))}")
    for line in changes(before, taint(database)):
        out.print(line)
    next_step(f"lipsdb lineage {adopted[0]['id']}")
