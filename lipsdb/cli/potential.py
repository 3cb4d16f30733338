"""``lipsdb potential``: what can be asked of a stored potential."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lipsdb.cli.options import Format, FormatOption, PotentialArgument
from lipsdb.cli.terminal import err, next_step, progress_bar
from lipsdb.cli.withdraw import warn
from lipsdb.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lipsdb.ingest.configurations import Configuration
    from lipsdb.potentials.engine import Grader
    from lipsdb.provenance.withdrawal import Withdrawn
    from lipsdb.queries.tables import Table
    from lipsdb.store.database import Database

app = typer.Typer(help="Ask a stored potential.", no_args_is_help=True)

_RANK = "rank frames by the grade, don't read its magnitude"
_MOST_SHOWN = 20
_HOW_TO_LABEL = (
    "to have DFT labels of the frames from --select on computed, write them (--save FILE.xyz --selected), one a file "
    "(`ase convert -s FILE.xyz 'frame-{:03}.xyz'`), and name these in a campaign: section `structures`, key `file`, "
    "and single points of them in section `dft`"
)


@dataclass(frozen=True)
class GradedFrame:
    """A row of the table: the atom is the one with the largest grade, None where all have the same."""

    frame: int
    n_atoms: int
    grade: float
    atom: int | None
    element: str | None


@dataclass(frozen=True)
class GradedAtoms(GradedFrame):
    """The same with the grade of each atom."""

    atom_grades: tuple[float, ...]


@app.callback()
def _noun() -> None:
    """Ask a stored potential."""


@app.command()
def grade(
    id_: PotentialArgument,
    frames: Annotated[
        str,
        typer.Argument(
            metavar="FRAMES",
            help="File that ASE reads (extended XYZ, POSCAR, CIF …), .cfg of MLIP, trajectory.nc beside its "
            "topology.xyz; or the id of a run, structure or label.",
            show_default=False,
        ),
    ],
    select: Annotated[float, typer.Option(help="Count frames with at least this grade: worth a DFT label.")] = 2.0,
    break_: Annotated[
        float,
        typer.Option("--break", help="Count frames with at least this grade: the potential is not to be trusted."),
    ] = 10.0,
    atoms: Annotated[bool, typer.Option("--atoms", help="The grade of each atom, too (--format json or csv).")] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the frames with their grades as extended XYZ, to a file that is not there yet.",
            show_default=False,
        ),
    ] = None,
    selected: Annotated[bool, typer.Option("--selected", help="With --save: only frames from --select on.")] = False,
    format_: FormatOption = Format.table,
) -> None:
    """Extrapolation grade of frames: how far they are from what the potential was trained on.

    Training data have grades up to 1. Rank frames by it and do not read its magnitude: a pair of elements that the
    training data lack gives a million, which is no worse than a thousand.
    """
    from lipsdb.queries.tables import render
    from lipsdb.store.database import connect

    _check(select, break_, atoms, format_, save, selected)
    database = connect()
    with contextlib.ExitStack() as stack:
        document, grader = _grader(database, id_)
        from lipsdb.provenance.withdrawal import taint

        withdrawals = taint(database).of(document["_id"])
        warn("the potential stands on withdrawn documents", withdrawals)
        elements = document["answer"]["elements"]
        found, total = _configurations(database, frames, elements)
        keep = stack.enter_context(_saved(save)) if save is not None else None
        bar = stack.enter_context(progress_bar())
        task = bar.add_task("frames", total=total)
        rows: list[GradedFrame] = []
        for index, configuration in enumerate(found):
            _check_elements(configuration, index, elements)
            grades = grader(*configuration)
            rows.append(_row(index, configuration.numbers, grades, atoms))
            if keep is not None and (rows[-1].grade >= select or not selected):
                keep(configuration, grades)
            bar.update(task, completed=index + 1)
    found_any = any(row.grade >= select for row in rows)
    shown = _largest(rows) if format_ is Format.table else rows
    print(render(_table(document["_id"], rows, shown, select, break_, atoms, withdrawals), format_.value))
    if save is not None and selected and not found_any:
        err.print(f"no frame has a grade of at least {select:g} (--select): {save} is not written", markup=False)
    elif save is not None:
        err.print(f"frames written to {save}", markup=False)
    elif found_any:
        next_step(_HOW_TO_LABEL)


def _check(select: float, break_: float, atoms: bool, format_: Format, save: Path | None, selected: bool) -> None:
    if not 0 < select <= break_:
        raise BadInputError(f"--select {select:g} and --break {break_:g} are not in order; give 0 < select ≤ break")
    if atoms and format_ not in {Format.json, Format.csv}:
        raise BadInputError(f"--atoms does not go with --format {format_.value}; use --format json or --format csv")
    if selected and save is None:
        raise BadInputError("--selected needs --save FILE, where the frames are to be written")
    if save is not None and save.exists():
        raise BadInputError(f"--save {save} is there already; give another name, or remove it")


def _grader(database: Database, id_: str) -> tuple[dict[str, Any], Grader]:
    """The potential's document, and what grades atoms with it."""
    import tempfile

    from lipsdb.potentials.engines import engine

    document = database.find(id_)
    if document["kind"] != "potential":
        raise BadInputError(f"{document['_id']} is a {document['kind']}; `lipsdb list potential` shows the potentials")
    answer = document["answer"]
    with tempfile.TemporaryDirectory(prefix="lipsdb-") as folder:
        files = {
            name: database.artifacts.save(answer[name]["sha256"], Path(folder, answer[name]["name"]))
            for name in ("model", "active_set")
            if answer.get(name) is not None
        }
        return document, engine(document["asked"]["engine"]).grader(files["model"], files.get("active_set"))


def _configurations(database: Database, frames: str, elements: list[str]) -> tuple[Iterator[Configuration], int | None]:
    """Frames of a file or a document, and how many there are if that is known."""
    from lipsdb.ingest.configurations import read_configurations
    from lipsdb.provenance.kinds import COLLECTIONS

    path = Path(frames)
    if path.exists() or frames.partition("-")[0] not in COLLECTIONS:
        return read_configurations(path, elements), None
    document = database.find(frames)
    if document["kind"] == "run":
        if not document["answer"]["n_frames"]:
            stopped = (document["answer"].get("extrapolation") or {}).get("stopped") or "no reason is recorded"
            raise BadInputError(
                f"{document['_id']} has no frames, it ended in its equilibration ({stopped}); give the selected.xyz "
                "that `lipsdb export files` writes for it, or another run"
            )
        return _of_run(database, document["answer"]), int(document["answer"]["n_frames"])
    if document["kind"] in {"structure", "label"}:
        return _of_answer(document["answer"]), 1
    raise BadInputError(
        f"{document['_id']} is a {document['kind']}, which has no frames of its own; give the id of a run, a structure "
        "or a label, or a file"
    )


def _of_answer(answer: dict[str, Any]) -> Iterator[Configuration]:
    import numpy as np

    from lipsdb.ingest.configurations import Configuration
    from lipsdb.provenance.canonical import decoded

    arrays = decoded(answer)
    numbers = np.asarray(arrays["numbers"], dtype=np.int64)
    yield Configuration(numbers, np.asarray(arrays["positions"]), np.asarray(arrays["cell"]))


def _of_run(database: Database, answer: dict[str, Any]) -> Iterator[Configuration]:
    import tempfile

    from lipsdb.ingest.configurations import read_configurations

    with tempfile.TemporaryDirectory(prefix="lipsdb-") as folder:
        for name in ("topology", "trajectory"):
            database.artifacts.save(answer[name]["sha256"], Path(folder, answer[name]["name"]))
        yield from read_configurations(Path(folder, answer["trajectory"]["name"]))


def _check_elements(configuration: Configuration, index: int, elements: list[str]) -> None:
    from ase.data import chemical_symbols

    others = {chemical_symbols[number] for number in configuration.numbers} - set(elements)
    if others:
        raise BadInputError(
            f"frame {index} has {' '.join(sorted(others))}, but the potential knows {' '.join(elements)}; leave such "
            "frames out"
        )


def _row(index: int, numbers: NDArray[np.int64], grades: NDArray[np.float64], with_atoms: bool) -> GradedFrame:
    import numpy as np
    from ase.data import chemical_symbols

    from lipsdb.md.grade_watch import outstanding_atom

    if not np.isfinite(grades).all():
        raise BadInputError(f"the grade of frame {index} is not finite; atoms may lie on one another: leave it out")
    atom = outstanding_atom(grades)
    row = GradedFrame(
        frame=index,
        n_atoms=len(numbers),
        grade=float(grades.max()),
        atom=atom,
        element=None if atom is None else chemical_symbols[numbers[atom]],
    )
    return GradedAtoms(**vars(row), atom_grades=tuple(grades.tolist())) if with_atoms else row


def _largest(rows: Sequence[GradedFrame]) -> list[GradedFrame]:
    """Those with the largest grades, the largest first: what a terminal has room for."""
    return sorted(rows, key=lambda row: -row.grade)[:_MOST_SHOWN]


def _table(
    id_: str,
    rows: Sequence[GradedFrame],
    shown: Sequence[GradedFrame],
    select: float,
    break_: float,
    atoms: bool,
    withdrawals: Sequence[Withdrawn],
) -> Table:
    from lipsdb.queries.tables import Column, Table, short_id

    n_hidden = len(rows) - len(shown)
    hidden = [f"{n_hidden} more frames have no larger grade (--format json or csv has all)"] if n_hidden else []
    above = [sum(row.grade >= limit for row in rows) for limit in (select, break_)]
    return Table(
        name="grade",
        title="Extrapolation grades",
        columns=[
            Column("frame", "", lambda row: row.frame),
            Column("atoms", "", lambda row: row.n_atoms),
            Column("grade", "", lambda row: row.grade),
            Column("atom", "", lambda row: row.atom),
            Column("element", "", lambda row: row.element),
        ],
        rows=shown,
        notes=[
            *hidden,
            f"all with {short_id(id_)}",
            f"of {len(rows)} frames {above[0]} have at least {select:g} (--select), {above[1]} at least {break_:g} "
            "(--break)",
            _RANK,
        ],
        row_type=GradedAtoms if atoms else GradedFrame,
        withdrawals=withdrawals,
    )


@contextlib.contextmanager
def _saved(path: Path) -> Iterator[Any]:
    """What writes frames with their grades to a file, which is there only when it is complete and has any."""
    from ase import Atoms
    from ase.io import write

    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as stream:

            def keep(configuration: Configuration, grades: NDArray[np.float64]) -> None:
                numbers, positions, cell = configuration
                atoms = Atoms(numbers, positions=positions, cell=cell, pbc=True)
                atoms.arrays["extrapolation_grade"] = grades
                atoms.info["extrapolation_grade_max"] = float(grades.max())
                write(stream, atoms, format="extxyz")

            yield keep
        if part.stat().st_size:
            part.replace(path)
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be written ({error.strerror}); name a file in a folder that is there"
        ) from error
    finally:
        part.unlink(missing_ok=True)
