"""Perfect crystals from a space group, a lattice and an asymmetric unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import BadInputError

if TYPE_CHECKING:
    from pymatgen.symmetry.groups import SpaceGroup

# Two atoms nearer than this fraction of the sum of their covalent radii are a mistake in the input, not a bond:
# the shortest bonds known (H2, N2, diamond) stay above 0.75 of that sum.
CLOSEST_FRACTION = 0.6
# Fractional coordinates that differ by less are the same position (input is given to four or five digits).
SAME_POSITION = 1e-5


class CrystalSite(NamedTuple):
    """One site of the asymmetric unit."""

    element: str
    """Chemical symbol."""
    position: tuple[float, float, float]
    """Fractional coordinates."""
    label: str | None = None
    """Name of the site, for error messages."""
    multiplicity: int | None = None
    """Atoms that the site must give in the conventional cell; not checked if None."""


def build_crystal(
    spacegroup: str,
    lattice: Sequence[float],
    sites: Sequence[CrystalSite],
    supercell: Sequence[int] = (1, 1, 1),
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Crystal from its space group and asymmetric unit: atomic numbers, positions (Å) and cell (Å).

    The order of the atoms is fixed by the input alone: by element in the order in which the elements first appear in
    `sites`, then by site, by position in the cell, by cell of the supercell.

    Parameters
    ----------
    spacegroup : str
        Hermann-Mauguin symbol (``Pnma``, ``Pmn2_1``) or number (``62``).
    lattice : six numbers
        a, b, c in Å; alpha, beta, gamma in degrees.
    sites : sequence of CrystalSite
        The asymmetric unit, fractional coordinates.
    supercell : three ints
        Repetitions along a, b, c.

    Returns
    -------
    numbers : (n_atoms,) int array
        Atomic numbers.
    positions : (n_atoms, 3) array, Å
    cell : (3, 3) array, Å
        Lattice vectors in rows: a along x, b in the xy plane, as LAMMPS needs them.

    Raises
    ------
    BadInputError
        Unknown space group or element, a lattice that the space group does not allow, a site with another multiplicity
        than stated, or two atoms closer than 0.6 of the sum of their covalent radii.

    Examples
    --------
    >>> numbers, positions, cell = build_crystal(
    ...     "Fm-3m", (5.64, 5.64, 5.64, 90, 90, 90), [CrystalSite("Na", (0, 0, 0)), CrystalSite("Cl", (0.5, 0.5, 0.5))]
    ... )
    >>> numbers.tolist()
    [11, 11, 11, 11, 17, 17, 17, 17]
    """
    from ase.geometry import cellpar_to_cell

    repeats = np.asarray(supercell)
    if repeats.shape != (3,) or (repeats < 1).any():
        raise BadInputError(f"supercell {list(supercell)} is not three whole numbers of at least 1, such as [1, 2, 2]")
    if not sites:
        raise BadInputError("no sites given: a crystal needs at least one")
    numbers_of_sites = [_atomic_number(site) for site in sites]
    group = _space_group(spacegroup, lattice)
    orbits = [_orbit(group, spacegroup, site) for site in sites]
    vectors = cellpar_to_cell(np.asarray(lattice, dtype=np.float64))  # type: ignore[no-untyped-call]
    cell = np.asarray(vectors, dtype=np.float64)
    site_of = np.repeat(np.arange(len(sites)), [len(orbit) for orbit in orbits])
    fractional = np.concatenate(orbits)
    _refuse_close_atoms(fractional, cell, site_of, sites, np.asarray(numbers_of_sites))

    numbers = np.asarray(numbers_of_sites, dtype=np.int64)[site_of]
    order = np.argsort([numbers_of_sites.index(number) for number in numbers], kind="stable")
    images = np.stack(np.meshgrid(*(np.arange(n) for n in repeats), indexing="ij"), axis=-1).reshape(-1, 3)
    positions = (fractional[order][:, None, :] + images[None, :, :]).reshape(-1, 3) @ cell
    return np.repeat(numbers[order], len(images)), positions, cell * repeats[:, None]


def _name(site: CrystalSite) -> str:
    """The site as error messages call it."""
    return site.label or f"{site.element} at ({', '.join(f'{x:g}' for x in site.position)})"


def _atomic_number(site: CrystalSite) -> int:
    from ase.data import atomic_numbers

    number = int(atomic_numbers.get(site.element, 0))
    if number == 0:
        raise BadInputError(f"site {_name(site)}: unknown element {site.element!r}; use a chemical symbol such as Li")
    return number


def _space_group(spacegroup: str, lattice: Sequence[float]) -> SpaceGroup:
    from pymatgen.core.lattice import Lattice
    from pymatgen.symmetry.groups import SpaceGroup

    try:
        group = SpaceGroup.from_int_number(int(spacegroup)) if spacegroup.isdigit() else SpaceGroup(spacegroup)
    except ValueError as error:
        raise BadInputError(
            f"unknown space group {spacegroup!r}: use a Hermann-Mauguin symbol such as Pnma, or a number from 1 to 230"
        ) from error
    if len(lattice) != 6 or not np.isfinite(lattice).all() or min(lattice) <= 0 or max(lattice[3:]) >= 180:
        raise BadInputError(
            f"lattice {list(lattice)} is not a, b, c (Å) and alpha, beta, gamma (degrees), all positive"
        )
    a, b, c, alpha, beta, gamma = lattice
    cosines = np.cos(np.radians([alpha, beta, gamma]))
    if 1 + 2 * cosines.prod() - (cosines**2).sum() <= 1e-12:
        raise BadInputError(f"angles {alpha:g}, {beta:g}, {gamma:g} degrees cannot close a cell: check them")
    if not group.is_compatible(Lattice.from_parameters(a, b, c, alpha, beta, gamma), tol=1e-4, angle_tol=1e-3):
        raise BadInputError(
            f"space group {spacegroup} is {group.crystal_system}, which the lattice a={a:g}, b={b:g}, c={c:g} Å, "
            f"alpha={alpha:g}, beta={beta:g}, gamma={gamma:g} degrees is not: correct one of the two"
        )
    return group


def _orbit(group: SpaceGroup, spacegroup: str, site: CrystalSite) -> NDArray[np.float64]:
    """All positions equivalent to a site, fractional, in [0, 1), sorted: (n, 3) array."""
    if len(site.position) != 3 or not np.isfinite(site.position).all():
        raise BadInputError(f"site {_name(site)}: position {list(site.position)} is not three fractional coordinates")
    orbit = np.asarray(group.get_orbit(site.position, tol=SAME_POSITION), dtype=np.float64)
    orbit = np.round(orbit, 10) % 1.0
    if site.multiplicity is not None and len(orbit) != site.multiplicity:
        raise BadInputError(
            f"site {_name(site)} has {len(orbit)} equivalent positions in {spacegroup}, not {site.multiplicity} as "
            "stated: put it exactly on its special position, or correct the multiplicity"
        )
    return orbit[np.lexsort(orbit.T[::-1])]


def _refuse_close_atoms(
    fractional: NDArray[np.float64],
    cell: NDArray[np.float64],
    site_of: NDArray[np.int64],
    sites: Sequence[CrystalSite],
    numbers: NDArray[np.int64],
) -> None:
    """Raise if two atoms of the cell, images included, are closer than any bond."""
    from ase.data import covalent_radii
    from ase.geometry import get_distances

    _, lengths = get_distances(fractional @ cell, cell=cell, pbc=True)  # type: ignore[no-untyped-call]
    distances = np.asarray(lengths, dtype=np.float64)
    np.fill_diagonal(distances, np.inf)
    radii = np.asarray(covalent_radii)[numbers[site_of]]
    limits = CLOSEST_FRACTION * (radii[:, None] + radii[None, :])
    i, j = np.unravel_index(int(np.argmin(distances - limits)), distances.shape)
    if distances[i, j] < limits[i, j]:
        first, second = sites[site_of[i]], sites[site_of[j]]
        whose = f"two atoms of site {_name(first)}" if first is second else f"sites {_name(first)} and {_name(second)}"
        raise BadInputError(
            f"{whose} are {distances[i, j]:.3f} Å apart, at least {limits[i, j]:.2f} Å expected: "
            "check the positions (a site near a special position must be exactly on it)"
        )
