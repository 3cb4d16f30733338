"""Trajectories as AMBER NetCDF files (convention 1.0), which MDAnalysis, OVITO, ASE, cpptraj and VMD read."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.errors import BadInputError, RefusedError


@dataclass(frozen=True)
class Trajectory:
    """Frames of a simulation.

    Attributes
    ----------
    time : (n_frames,) array, ps
        Time of each frame.
    positions : (n_frames, n_atoms, 3) array, Å
        Unwrapped positions, atoms in the order of the input structure.
    cell : (n_frames, 3, 3) array, Å
        Lattice vectors as rows, in LAMMPS' orientation (a along x, b in the xy plane).
    """

    time: NDArray[np.float64]
    positions: NDArray[np.floating]
    cell: NDArray[np.float64]


def cell_from_parameters(lengths: ArrayLike, cosines: ArrayLike) -> NDArray[np.float64]:
    """Lattice vectors from lengths and cosines of the angles, in LAMMPS' orientation (Å).

    Parameters
    ----------
    lengths : (n, 3) array, Å
        a, b, c.
    cosines : (n, 3) array
        cos α, cos β, cos γ.

    Returns
    -------
    (n, 3, 3) array, Å
        Row vectors.

    Examples
    --------
    >>> cell_from_parameters([[2.0, 3.0, 4.0]], [[0.0, 0.0, 0.5]])[0].round(3)
    array([[2.   , 0.   , 0.   ],
           [1.5  , 2.598, 0.   ],
           [0.   , 0.   , 4.   ]])
    """
    a, b, c = np.moveaxis(np.asarray(lengths, dtype=np.float64), -1, 0)
    cos_alpha, cos_beta, cos_gamma = np.moveaxis(np.asarray(cosines, dtype=np.float64), -1, 0)
    cell = np.zeros((len(a), 3, 3))
    cell[:, 0, 0] = a
    cell[:, 1, 0] = b * cos_gamma
    cell[:, 1, 1] = np.sqrt(b**2 - cell[:, 1, 0] ** 2)
    cell[:, 2, 0] = c * cos_beta
    cell[:, 2, 1] = (b * c * cos_alpha - cell[:, 1, 0] * cell[:, 2, 0]) / cell[:, 1, 1]
    cell[:, 2, 2] = np.sqrt(c**2 - cell[:, 2, 0] ** 2 - cell[:, 2, 1] ** 2)
    return cell


def _lengths_and_cosines(cell: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    lengths = np.linalg.norm(cell, axis=2)
    gram = np.einsum("fik,fjk->fij", cell, cell)
    cosines = np.stack([gram[:, i, j] / (lengths[:, i] * lengths[:, j]) for i, j in ((1, 2), (0, 2), (0, 1))], axis=1)
    return lengths, cosines


def write_trajectory(path: str | Path, blocks: Iterable[Trajectory], *, title: str = "") -> int:
    """Write frames to an AMBER NetCDF file, block by block, so that memory stays bounded.

    Parameters
    ----------
    path : path
        The file; it appears under this name only when it is complete.
    blocks : iterable of Trajectory
        Frames in order; each with the same number of atoms. A block without frames alone makes a file without. Cells
        must be in LAMMPS' orientation, since the format holds lengths and angles only.
    title : str
        Title stored in the file.

    Returns
    -------
    int
        The number of frames written.

    Raises
    ------
    BadInputError
        If there is no block, or the shapes or values of a block are not valid.

    Notes
    -----
    NetCDF 3 with 64-bit offsets. Positions are float32 (Å), times float64 (ps; the convention's float32 would lose the
    spacing of frames in long runs, and readers convert). The header comes from scipy; records are appended as the file
    format lays them out: all record variables of a frame one after another, big-endian.

    References
    ----------
    AMBER trajectory NetCDF format, convention 1.0: https://ambermd.org/netcdf/nctraj.xhtml
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    n_frames = n_atoms = 0
    with part.open("w+b") as stream:
        for block in blocks:
            _check_block(block, n_atoms or block.positions.shape[1])
            if not n_atoms:
                n_atoms = block.positions.shape[1]
                stream.write(_header(n_atoms, title))
            stream.write(_records(block).tobytes())
            n_frames += len(block.time)
        if not n_atoms:
            part.unlink()
            raise BadInputError(f"no frame to write to {path.name}; give at least one")
        stream.seek(4)
        stream.write(struct.pack(">i", n_frames))
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    return n_frames


def _check_block(block: Trajectory, n_atoms: int) -> None:
    n = len(block.time)
    if block.positions.shape != (n, n_atoms, 3) or block.cell.shape != (n, 3, 3) or n_atoms == 0:
        raise BadInputError(
            f"trajectory block of shapes time {block.time.shape}, positions {block.positions.shape}, "
            f"cell {block.cell.shape}; give (f,), (f, {n_atoms or 'n'}, 3) and (f, 3, 3)"
        )
    if not (np.isfinite(block.positions).all() and np.isfinite(block.cell).all() and np.isfinite(block.time).all()):
        raise BadInputError("trajectory block holds NaN or infinity; a trajectory stores finite numbers only")
    lengths = np.abs(block.cell).max(initial=1.0)
    upper = np.abs(block.cell[:, [0, 0, 1], [1, 2, 2]]).max(initial=0.0)
    if upper > 1e-6 * lengths or (np.einsum("fii->fi", block.cell) <= 0).any():
        raise BadInputError(
            f"cell not in LAMMPS' orientation (largest element above the diagonal {upper:g} Å); "
            "rotate so that a is along x and b in the xy plane"
        )


def _record_dtype(n_atoms: int) -> np.dtype[np.void]:
    return np.dtype(
        [
            ("time", ">f8"),
            ("coordinates", ">f4", (n_atoms, 3)),
            ("cell_lengths", ">f8", (3,)),
            ("cell_angles", ">f8", (3,)),
        ]
    )


def _records(block: Trajectory) -> NDArray[np.void]:
    records = np.empty(len(block.time), dtype=_record_dtype(block.positions.shape[1]))
    lengths, cosines = _lengths_and_cosines(block.cell)
    records["time"] = block.time
    records["coordinates"] = block.positions
    records["cell_lengths"] = lengths
    records["cell_angles"] = np.degrees(np.arccos(cosines))
    return records


def _header(n_atoms: int, title: str) -> bytes:
    """Header of the file: what scipy writes for one empty record, without the record."""
    from scipy.io import netcdf_file

    from lipsdb import __version__

    buffer = io.BytesIO()
    dataset = netcdf_file(buffer, "w", version=2)
    for name, value in {
        "title": title,
        "application": "lipsdb",
        "program": "lipsdb",
        "programVersion": __version__,
        "Conventions": "AMBER",
        "ConventionVersion": "1.0",
    }.items():
        setattr(dataset, name, value)
    dimensions = {"frame": None, "spatial": 3, "atom": n_atoms, "cell_spatial": 3, "cell_angular": 3, "label": 5}
    for name, length in dimensions.items():
        dataset.createDimension(name, length)
    dataset.createVariable("spatial", "c", ("spatial",))[:] = list("xyz")
    dataset.createVariable("cell_spatial", "c", ("cell_spatial",))[:] = list("abc")
    dataset.createVariable("cell_angular", "c", ("cell_angular", "label"))[:] = [
        list(word) for word in ("alpha", "beta ", "gamma")
    ]
    record = np.zeros((), dtype=_record_dtype(n_atoms))
    for name, dims, units in (
        ("time", ("frame",), "picosecond"),
        ("coordinates", ("frame", "atom", "spatial"), "angstrom"),
        ("cell_lengths", ("frame", "cell_spatial"), "angstrom"),
        ("cell_angles", ("frame", "cell_angular"), "degree"),
    ):
        variable = dataset.createVariable(name, record[name].dtype.base.str[1:], dims)
        variable.units = units
        variable[0] = record[name]
    dataset.flush()
    content = buffer.getvalue()
    dataset.close()
    return content[: len(content) - record.dtype.itemsize]


def read_trajectory(source: str | Path | bytes) -> Trajectory:
    """Read an AMBER NetCDF trajectory.

    Parameters
    ----------
    source : path or bytes
        The file or its content.

    Returns
    -------
    Trajectory
        Times in ps, positions in Å (single precision, as stored), cells in Å in LAMMPS' orientation. Positions of a
        file are mapped, not read: they need no memory, and the file may be unlinked but not changed.

    Raises
    ------
    RefusedError
        If the file is truncated, or is not an AMBER NetCDF trajectory with a periodic cell.
    """
    from scipy.io import netcdf_file

    name = "trajectory" if isinstance(source, bytes) else Path(source).name
    remedy = "it is truncated or damaged; run the simulation again"
    mapped = not isinstance(source, bytes)
    try:
        with netcdf_file(io.BytesIO(source) if isinstance(source, bytes) else str(source), "r", mmap=mapped) as dataset:
            variables = {key: np.array(dataset.variables[key].data) for key in ("time", "cell_lengths", "cell_angles")}
            positions = _mapped(source, dataset) if not isinstance(source, bytes) else None
            if positions is None:
                positions = dataset.variables["coordinates"].data.astype(np.float32)
            conventions = dataset.Conventions
    # scipy reports a torn file by whatever its parser stumbles on.
    except Exception as error:
        raise RefusedError(f"{name} cannot be read as an AMBER NetCDF trajectory ({error}); {remedy}") from error
    if b"AMBER" not in conventions:
        raise RefusedError(f"{name} has Conventions {conventions!r}, allowed is AMBER; convert it first")
    n = len(positions)
    if any(len(values) != n for values in variables.values()):
        raise RefusedError(f"{name} holds {n} whole frames; {remedy}")
    cosines = np.cos(np.radians(variables["cell_angles"]))
    # A right angle is stored exactly, but π/2 is not a float64.
    cosines[variables["cell_angles"] == 90.0] = 0.0
    return Trajectory(
        time=variables["time"].astype(np.float64),
        positions=positions,
        cell=cell_from_parameters(variables["cell_lengths"], cosines),
    )


def _mapped(path: str | Path, dataset: Any) -> NDArray[np.floating] | None:
    """Positions in a file of ours, mapped; None if its records are laid out otherwise."""
    found = dataset.variables["coordinates"].data
    records = _record_dtype(found.shape[1])
    if not len(found) or found.strides[0] != records.itemsize:
        return None
    begin = Path(path).stat().st_size - len(found) * records.itemsize
    mapped = np.memmap(path, dtype=records, mode="r", offset=begin, shape=(len(found),))["coordinates"]
    return mapped if np.array_equal(mapped[[0, -1]], found[[0, -1]]) else None


def topology_text(numbers: ArrayLike, positions: ArrayLike, cell: ArrayLike) -> str:
    """First frame as extended XYZ: the elements, which the NetCDF file does not hold.

    Parameters
    ----------
    numbers : (n_atoms,) array of int
        Atomic numbers, in the trajectory's order.
    positions : (n_atoms, 3) array, Å
        Positions of one frame.
    cell : (3, 3) array, Å
        Its lattice vectors as rows.

    Returns
    -------
    str
        Text of a file ``topology.xyz``: ``MDAnalysis.Universe("topology.xyz", "trajectory.nc")``; in OVITO open it and
        add the modifier *Load trajectory*; ``ase.io.read("topology.xyz")``.

    Examples
    --------
    >>> print(topology_text([3], [[0, 0, 0.5]], [[2, 0, 0], [0, 2, 0], [0, 0, 2]]))
    1
    Lattice="2.0 0.0 0.0 0.0 2.0 0.0 0.0 0.0 2.0" Properties=species:S:1:pos:R:3 pbc="T T T"
    Li 0.00000000 0.00000000 0.50000000
    """
    from ase.data import chemical_symbols

    z = np.asarray(numbers, dtype=np.int64)
    lattice = " ".join(repr(float(value)) for value in np.asarray(cell, dtype=np.float64).ravel())
    buffer = io.StringIO()
    buffer.write(f'{len(z)}\nLattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T"\n')
    rows = np.empty(len(z), dtype=[("symbol", "U2"), ("x", "f8"), ("y", "f8"), ("z", "f8")])
    rows["symbol"] = np.asarray(chemical_symbols)[z]
    for axis, column in enumerate("xyz"):
        rows[column] = np.asarray(positions, dtype=np.float64)[:, axis]
    np.savetxt(buffer, rows, fmt=["%s", "%.8f", "%.8f", "%.8f"])
    return buffer.getvalue()
