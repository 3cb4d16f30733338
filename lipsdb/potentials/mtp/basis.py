"""The basis of a moment tensor potential by level: which contractions of moments there are, and the steps to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.contractions import Steps, Vertex, component_of, powers_of
from lipsdb.potentials.mtp.multigraphs import MOST_MOMENTS, connected_graphs, level_of

LEVELS = range(2, 29, 2)


@dataclass(frozen=True, eq=False)
class MomentBasis:
    """The untrained template of a moment tensor potential.

    Attributes
    ----------
    level : int or None
        None if it was read from a file and is no level of ours.
    n_radial : int
        Number of radial functions μ = 0, 1 …
    basic : (n_basic, 4) int32 array
        μ and the powers of x, y and z of each basic moment.
    products : (n_products, 4) int32 array
        Rows i, j, multiplicity, k: moment k grows by multiplicity · M[i] · M[j]; in this order, i and j are complete.
    scalars : (n_scalars,) int32 array
        Which of the moments are the (invariant) basis functions.
    n_moments : int
        Basic moments, which come first, and those from products.
    """

    level: int | None
    n_radial: int
    basic: NDArray[np.int32]
    products: NDArray[np.int32]
    scalars: NDArray[np.int32]
    n_moments: int

    @property
    def n_scalars(self) -> int:
        """Number of basis functions."""
        return int(self.scalars.size)


def check_level(level: int) -> None:
    """Refuse a level that has no basis.

    Raises
    ------
    BadInputError
        Unless it is an even number from 2 to 28.
    """
    if level not in LEVELS:
        raise BadInputError(
            f"{level} is no level of a moment tensor potential: choose an even number from {LEVELS[0]} to "
            f"{LEVELS[-1]}, say 12."
        )


@cache
def moment_basis(level: int) -> MomentBasis:
    r"""Basis of all contractions of at most four moments up to a level.

    Parameters
    ----------
    level : int
        Even, 2 to 28.

    Returns
    -------
    MomentBasis
        Its arrays cannot be written to: the same basis is given again next time.

    Raises
    ------
    BadInputError
        If the level is not one of these.

    Notes
    -----
    The moment :math:`M_{\mu,\nu} = \sum_j f_\mu(r_{ij})\, \hat r_{ij}^{\otimes\nu}` has level :math:`2 + 4\mu + \nu`;
    a contraction has the sum over its moments. A contraction to a scalar is a multigraph without loops: a vertex for
    each moment, with as many edges as that has indices. Graphs that differ in the order of equal moments are the same;
    those in several parts are products of scalars. A tensor of several moments is made from two smaller ones, split
    where that takes the fewest new products (at level 16 there are 798; MLIP's template has 969).

    Levels 2 to 24 have the same scalars as MLIP's templates. At 26 and 28 there are 1466 and 2455, where MLIP has 1464
    and 2445.

    References
    ----------
    A. V. Shapeev, Multiscale Model. Simul. 14, 1153 (2016), doi:10.1137/15M1054183; levels as in I. S. Novikov et al.,
    Mach. Learn.: Sci. Technol. 2, 025002 (2021), doi:10.1088/2632-2153/abc9fe, section 2.

    Examples
    --------
    >>> basis = moment_basis(8)
    >>> basis.n_scalars, basis.n_moments, len(basis.basic), len(basis.products), basis.n_radial
    (9, 18, 11, 14, 2)
    """
    check_level(level)
    basic = basic_moments(level)
    steps = Steps(basic)
    parts = [(level_of(graph), len(graph[0]), steps.moment(component_of(graph))) for graph in connected_graphs(level)]
    scalars = _products_of_scalars(level, parts, steps)
    return MomentBasis(
        level=level,
        n_radial=1 + max(mu for mu, _ in basic),
        basic=frozen([(mu, *powers) for mu, powers in basic]).reshape(-1, 4),
        products=frozen(steps.products).reshape(-1, 4),
        scalars=frozen(scalars),
        n_moments=steps.n_moments,
    )


def frozen(values: ArrayLike) -> NDArray[np.int32]:
    """Return the whole numbers as an array that cannot be written to."""
    array = np.array(values, dtype=np.int32)
    array.flags.writeable = False
    return array


def basic_moments(level: int) -> list[Vertex]:
    """Components of all moments that are in a scalar: alone, or with another of as many indices."""
    moments = []
    for mu in range((level - 2) // 4 + 1):
        highest = max(0, (level - 4 - 4 * mu) // 2)
        moments += [(mu, powers) for rank in range(highest + 1) for powers in powers_of(rank)]
    return moments


def _products_of_scalars(level: int, parts: Sequence[tuple[int, int, int]], steps: Steps) -> list[int]:
    """Numbers of all scalars: (level, number of moments, number) of those in one part, and products of these."""
    made: list[tuple[int, int, int, int]] = [(*part, place) for place, part in enumerate(parts)]
    for height, size, number, place in made:
        for last in range(place, len(parts)):
            more_height, more_size, factor = parts[last]
            if height + more_height <= level and size + more_size <= MOST_MOMENTS:
                new = steps.sum_of_products([(min(number, factor), max(number, factor), 1)])
                made.append((height + more_height, size + more_size, new, last))
    return [number for _, _, number, _ in sorted(made)]
