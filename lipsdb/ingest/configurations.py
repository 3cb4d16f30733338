"""Configurations without labels, of any file that ASE, motep or a run of ours writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import BadInputError, LipsdbError

_TOPOLOGY = "topology.xyz"


class Configuration(NamedTuple):
    """Atoms in a periodic cell."""

    numbers: NDArray[np.int64]
    """(n_atoms,) atomic numbers."""
    positions: NDArray[np.float64]
    """(n_atoms, 3), Å."""
    cell: NDArray[np.float64]
    """(3, 3), Å, rows are vectors."""


def read_configurations(path: Path, elements: Sequence[str] = ()) -> Iterator[Configuration]:
    """Read the frames of a file one by one.

    Parameters
    ----------
    path : Path
        Any file that ASE reads (extended XYZ, POSCAR, CIF …), a ``.cfg`` file of the MLIP program, or a trajectory
        ``.nc`` of a run beside its ``topology.xyz``, as ``lipsdb export files`` writes them.
    elements : sequence of str
        Chemical symbols of the types 0, 1 … of a ``.cfg`` file that does not tell them.

    Yields
    ------
    Configuration

    Raises
    ------
    BadInputError
        If the file cannot be read, holds no frame, or a frame is not periodic along all three cell vectors.
    """
    if not path.is_file():
        raise BadInputError(f"{path} is not a file; give one with frames, such as extended XYZ or POSCAR")
    if path.suffix == ".nc":
        yield from _of_trajectory(path)
        return
    frame = -1
    for frame, atoms in enumerate(_images(path)):
        if not atoms.pbc.all() or atoms.cell.rank < 3 or not len(atoms):
            raise BadInputError(
                f"frame {frame} of {path.name} is not periodic along all three cell vectors, or empty; give such "
                "frames only"
            )
        yield Configuration(_numbers(atoms, path, elements), atoms.positions, np.array(atoms.cell))
    if frame < 0:
        raise BadInputError(f"{path.name} holds no frame; give a file with at least one")


def trajectory_configurations(numbers: NDArray[np.int64], source: Path | bytes) -> Iterator[Configuration]:
    """Frames of an AMBER NetCDF trajectory whose atoms have these atomic numbers."""
    from lipsdb.md.trajectory import read_trajectory

    found = read_trajectory(source)
    if found.positions.shape[1] != len(numbers):
        raise BadInputError(
            f"the trajectory has {found.positions.shape[1]} atoms, its topology {len(numbers)}; give files of one run"
        )
    for positions, cell in zip(found.positions, found.cell, strict=True):
        yield Configuration(numbers, positions.astype(np.float64), cell)


def _of_trajectory(path: Path) -> Iterator[Configuration]:
    topology = path.with_name(_TOPOLOGY)
    if not topology.is_file():
        raise BadInputError(
            f"{path.name} does not hold the elements; put the {_TOPOLOGY} of the run beside it (`lipsdb export files` "
            "writes both), or give the run's id"
        )
    yield from trajectory_configurations(next(read_configurations(topology)).numbers, path)


def _images(path: Path) -> Iterator[Any]:
    try:
        if path.suffix == ".cfg":
            from motep.io.mlip.cfg import read_cfg  # type: ignore[import-untyped,unused-ignore]

            yield from read_cfg(str(path), index=":")
        else:
            from ase.io import iread

            yield from iread(str(path), index=":")
    except LipsdbError:
        raise
    except Exception as error:  # ASE and motep raise almost any class on a broken file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInputError(f"{path.name} is no file with frames that ASE or motep can read: {reason}") from error


def _numbers(atoms: Any, path: Path, elements: Sequence[str]) -> NDArray[np.int64]:
    """Atomic numbers; motep gives the types of a ``.cfg`` file in their place."""
    from lipsdb.ingest.frames import element_numbers
    from lipsdb.ingest.mlip_cfg import ELEMENTS_FEATURE

    if path.suffix != ".cfg":
        return np.asarray(atoms.numbers, dtype=np.int64)
    told = [symbol for symbol in str(atoms.info.get(ELEMENTS_FEATURE, "")).split(",") if symbol] or list(elements)
    if atoms.numbers.max() >= len(told):
        raise BadInputError(
            f"{path.name} has a type {atoms.numbers.max()}, but elements are {' '.join(told) or 'not told'}; add the "
            f"line 'Feature {ELEMENTS_FEATURE} Li,P,S' with all of them to its frames"
        )
    return np.asarray(element_numbers(told, path.name)[atoms.numbers], dtype=np.int64)
