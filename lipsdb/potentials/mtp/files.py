"""Files of the MLIP program: potentials (``.mtp``), and labels for it to read (``.cfg``)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.basis import LEVELS, MomentBasis, basic_moments, frozen, moment_basis
from lipsdb.potentials.mtp.potential import MomentTensorPotential, checked_elements
from lipsdb.potentials.training_set import LabelledFrames, types_of

RADIAL_BASIS = "RBChebyshev"
_COEFFICIENTS = ("radial_coeffs", "species_coeffs", "moment_coeffs")


def read_mtp(path: Path, elements: Sequence[str] | None = None) -> MomentTensorPotential:
    """Read a trained potential from an MLIP ``.mtp`` file.

    Parameters
    ----------
    path : Path
        Å and eV. The old form with ``min_dist`` or the new one with ``min``.
    elements : sequence of str, optional
        Chemical symbols of the types 0, 1 …; needed unless they stand in the file's ``potential_tag``, as in
        ``potential_tag = Li P S``.

    Returns
    -------
    MomentTensorPotential
        With the file's ``scaling``, and the level if its basis is the one that `moment_basis` gives.

    Raises
    ------
    BadInputError
        If the file is no such file, is an untrained template, has magnetic moments or another radial basis, contradicts
        itself, or does not say which elements its types are.
    """
    path = Path(path)
    data = _read(path)
    missing = [name for name in _COEFFICIENTS if getattr(data, name) is None]
    if missing:
        raise BadInputError(
            f"{path.name} is an untrained template (it has no {', '.join(missing)}): give a trained potential; "
            "lipsdb makes its templates itself."
        )
    told = _elements(path, data, elements)
    try:
        return MomentTensorPotential(
            basis=_basis(data),
            elements=told,
            min_distance_A=float(data.radial_basis.min),
            cutoff_A=float(data.radial_basis.max),
            radial_coefficients=data.radial_coeffs,
            species_coefficients=data.species_coeffs,
            moment_coefficients=data.moment_coeffs,
            scaling=float(data.scaling),
        )
    except BadInputError as error:
        raise BadInputError(f"{path.name}: {error}") from error


def write_mtp(path: Path, potential: MomentTensorPotential) -> None:
    """Write an MLIP ``.mtp`` file in the old form, which MLIP-2, its LAMMPS pair style and motep read.

    Parameters
    ----------
    path : Path
    potential : MomentTensorPotential

    Notes
    -----
    The elements stand in ``potential_tag``. Coefficients have 16 significant digits: read again, they differ by at most
    5e-16 of themselves.
    """
    from motep.io.mlip.mtp import write_mtp as write  # type: ignore[import-untyped,unused-ignore]
    from motep.potentials.mtp.data import MTPData  # type: ignore[import-untyped,unused-ignore]

    basis = potential.basis
    data = MTPData(
        version="1.1.0",
        potential_name="MTP1m",
        scaling=float(potential.scaling),
        species_count=len(potential.elements),
        potential_tag=" ".join(potential.elements),
        radial_basis={
            "type": RADIAL_BASIS,
            "min": float(potential.min_distance_A),
            "max": float(potential.cutoff_A),
            "size": potential.radial_size,
        },
        radial_funcs_count=basis.n_radial,
        radial_coeffs=potential.radial_coefficients,
        alpha_moments_count=basis.n_moments,
        alpha_index_basic_count=len(basis.basic),
        alpha_index_basic=basis.basic,
        alpha_index_times_count=len(basis.products),
        alpha_index_times=basis.products,
        alpha_scalar_moments=basis.n_scalars,
        alpha_moment_mapping=basis.scalars,
        species_coeffs=potential.species_coefficients,
        moment_coeffs=potential.moment_coefficients,
    )
    write(path, data, legacy=True)


def write_cfg(path: Path, systems: Mapping[str, LabelledFrames], elements: Sequence[str]) -> None:
    """Write labels to one ``.cfg`` file for ``mlp``, with the types of a potential.

    Parameters
    ----------
    path : Path
    systems : mapping of name to LabelledFrames
        Those of the systems follow one another; the names are not written.
    elements : sequence of str
        Chemical symbols of the types 0, 1 …, as the potential has them. `lipsdb.ingest.mlip_cfg.read_mlip_cfg` finds
        them in the file again.

    Raises
    ------
    BadInputError
        If a system has an element that is not among these.
    """
    from lipsdb.export.ase_files import write_mlip_cfg

    known = checked_elements(elements)
    for name, frames in systems.items():
        types_of(frames.numbers, known, f"system {name!r}")
    write_mlip_cfg(path, list(systems.values()), elements)


def _read(path: Path) -> Any:
    """motep's MTPData of a file that is no magnetic one and has a radial basis of the type known here."""
    from motep.io.mlip.mtp import read_mtp as read
    from motep.potentials.mmtp.data import MagMTPData  # type: ignore[import-untyped,unused-ignore]

    if not path.is_file():
        raise BadInputError(f"there is no file {path}: give an MLIP .mtp file.")
    with path.open("rb") as file:
        if file.readline().strip() != b"MTP":
            raise BadInputError(f"{path.name} is not an MLIP .mtp file: its first line is not 'MTP'.")
    try:
        data = read(path)
    except Exception as error:  # motep raises almost any class on a broken file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInputError(f"{path.name} is not an MLIP .mtp file that motep can read: {reason}") from error
    if isinstance(data, MagMTPData):
        raise BadInputError(f"{path.name} is a magnetic potential; lipsdb has no magnetic moments: give one without.")
    if data.radial_basis.type != RADIAL_BASIS:
        raise BadInputError(
            f"{path.name} has the radial basis {data.radial_basis.type or 'none'}; only {RADIAL_BASIS} is known here."
        )
    return data


def _elements(path: Path, data: Any, given: Sequence[str] | None) -> tuple[str, ...]:
    """Elements of the types, from the tag or as given."""
    try:
        tagged: tuple[str, ...] | None = checked_elements(re.split(r"[\s,;]+", str(data.potential_tag).strip()))
    except BadInputError:
        tagged = None
    if given is None and tagged is None:
        raise BadInputError(
            f"{path.name} does not say which elements its {data.species_count} types are (potential_tag is "
            f"{str(data.potential_tag)!r}): give the elements in the order of the types, or write them there, as in "
            "`potential_tag = Li P S`."
        )
    told = tagged if given is None else checked_elements(given)
    if tagged is not None and told != tagged:
        raise BadInputError(
            f"{path.name} is for {', '.join(tagged)} (its potential_tag), not for {', '.join(given or ())}: leave the "
            "elements out, or correct the tag."
        )
    if told is None or len(told) != data.species_count:
        raise BadInputError(
            f"{path.name} has {data.species_count} types, but the elements are {', '.join(told or ())}: give as many "
            "elements as there are types, in their order."
        )
    return told


def _basis(data: Any) -> MomentBasis:
    """Basis of the file; that of a level where it is the same."""
    basis = MomentBasis(
        level=None,
        n_radial=int(data.radial_funcs_count),
        basic=frozen(data.alpha_index_basic).reshape(-1, 4),
        products=frozen(data.alpha_index_times).reshape(-1, 4),
        scalars=frozen(data.alpha_moment_mapping),
        n_moments=int(data.alpha_moments_count),
    )
    _check(basis, data)
    for level in LEVELS:
        if len(basic_moments(level)) == len(basis.basic) and _same(basis, moment_basis(level)):
            return moment_basis(level)
    return basis


def _same(one: MomentBasis, other: MomentBasis) -> bool:
    arrays = ((one.basic, other.basic), (one.products, other.products), (one.scalars, other.scalars))
    return (one.n_radial, one.n_moments) == (other.n_radial, other.n_moments) and all(
        np.array_equal(left, right) for left, right in arrays
    )


def _check(basis: MomentBasis, data: Any) -> None:
    """Refuse a basis that would read moments that are not there, or not complete yet."""
    counted = {
        "alpha_index_basic_count": (data.alpha_index_basic_count, len(basis.basic)),
        "alpha_index_times_count": (data.alpha_index_times_count, len(basis.products)),
        "alpha_scalar_moments": (data.alpha_scalar_moments, basis.n_scalars),
    }
    for name, (told, there) in counted.items():
        if told != there:
            raise BadInputError(f"{name} is {told}, but there are {there}: the file was cut or changed; copy it again.")
    factors, results, n_basic = basis.products[:, :2], basis.products[:, 3], len(basis.basic)
    in_range = all(
        not array.size or (array.min() >= 0 and array.max() < limit)
        for array, limit in (
            (basis.basic[:, 0], basis.n_radial),
            (basis.basic[:, 1:], np.inf),
            (factors, basis.n_moments),
            (results - n_basic, basis.n_moments - n_basic),
            (basis.scalars, basis.n_moments),
        )
    )
    if in_range:
        complete_after = np.where(np.arange(basis.n_moments) < n_basic, -1, len(results))
        complete_after[results] = np.arange(len(results))
        too_late = complete_after[factors] >= np.arange(len(results))[:, None]
    if not in_range or too_late.any() or (complete_after[basis.scalars] == len(results)).any():
        raise BadInputError(
            "alpha_index_basic, alpha_index_times or alpha_moment_mapping name radial functions or moments that are "
            "not there, or not yet complete: the file was changed; copy it again."
        )
