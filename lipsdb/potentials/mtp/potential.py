"""A moment tensor potential: its basis, radial functions and coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.basis import MomentBasis, moment_basis

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MomentTensorPotential:
    r"""All that energies and forces need.

    Parameters
    ----------
    basis : MomentBasis
    elements : sequence of str
        Chemical symbols of the types 0, 1 …
    min_distance_A, cutoff_A : float, Å
        Range of the radial functions.
    radial_coefficients : (n_elements, n_elements, n_radial, radial_size) array
        Of the centre's type, the neighbour's type, μ and the Chebyshev polynomial.
    species_coefficients : (n_elements,) array, eV
        Energy of an atom of each type.
    moment_coefficients : (n_scalars,) array
    scaling : float
        Factor of all radial functions.

    Raises
    ------
    BadInputError
        If a shape does not fit the basis and the elements, a value is not finite, or the range is empty.

    Notes
    -----
    :math:`E = \sum_i V_i`, :math:`V_i = \zeta_{t_i} + \sum_\alpha \xi_\alpha B_\alpha`, with basis functions
    :math:`B_\alpha` of the moments :math:`\sum_j f_\mu(r_{ij}; t_i, t_j)\, \hat r_{ij}^{\otimes\nu}` and, below the
    cutoff :math:`R`, :math:`f_\mu(r) = s \sum_\beta c_{t_i t_j \mu \beta}\, T_\beta(x)\, (R - r)^2` with
    :math:`x = (2 r - r_{min} - R) / (R - r_{min})`.

    References
    ----------
    I. S. Novikov et al., Mach. Learn.: Sci. Technol. 2, 025002 (2021), doi:10.1088/2632-2153/abc9fe, section 2.

    Examples
    --------
    >>> potential = random_start(8, ["Li", "P", "S"], min_distance_A=1.5, cutoff_A=5.0, radial_size=8, seed=1)
    >>> potential.n_parameters, potential.radial_size, potential.with_parameters(potential.parameters * 2).n_parameters
    (156, 8, 156)
    """

    basis: MomentBasis
    elements: tuple[str, ...]
    min_distance_A: float
    cutoff_A: float
    radial_coefficients: FloatArray
    species_coefficients: FloatArray
    moment_coefficients: FloatArray
    scaling: float = 1.0

    def __post_init__(self) -> None:
        """Convert to contiguous float64 and check shapes and values."""
        object.__setattr__(self, "elements", checked_elements(self.elements))
        check_range(self.min_distance_A, self.cutoff_A)
        if not np.isfinite(self.scaling):
            raise BadInputError(f"the scaling is {self.scaling}; it must be a finite number, usually 1.")
        n_elements = len(self.elements)
        radial_size = np.shape(self.radial_coefficients)[-1] if np.ndim(self.radial_coefficients) else 0
        shapes = {
            "radial_coefficients": (n_elements, n_elements, self.basis.n_radial, max(radial_size, 1)),
            "species_coefficients": (n_elements,),
            "moment_coefficients": (self.basis.n_scalars,),
        }
        for name, shape in shapes.items():
            array = np.array(getattr(self, name), dtype=np.float64, order="C")
            if array.shape != shape:
                raise BadInputError(
                    f"{name.replace('_', ' ')} have the shape {array.shape}, but {n_elements} elements and a basis of "
                    f"{self.basis.n_radial} radial and {self.basis.n_scalars} scalar functions need {shape}."
                )
            if not np.isfinite(array).all():
                raise BadInputError(
                    f"{name.replace('_', ' ')} are not all finite: the potential is of no use; retrain."
                )
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def radial_size(self) -> int:
        """Number of Chebyshev polynomials of a radial function."""
        return int(self.radial_coefficients.shape[-1])

    @property
    def n_parameters(self) -> int:
        """Number of coefficients that are trained."""
        return self.moment_coefficients.size + self.species_coefficients.size + self.radial_coefficients.size

    @property
    def parameters(self) -> FloatArray:
        """(n_parameters,) array: moment, species, then radial coefficients, as motep has them."""
        return np.concatenate((self.moment_coefficients, self.species_coefficients, self.radial_coefficients.ravel()))

    def with_parameters(self, parameters: ArrayLike) -> MomentTensorPotential:
        """Return this potential with other coefficients.

        Parameters
        ----------
        parameters : (n_parameters,) array
            In the order of `parameters`.

        Raises
        ------
        BadInputError
            If there are more or fewer.
        """
        vector = np.asarray(parameters, dtype=np.float64)
        if vector.shape != (self.n_parameters,):
            raise BadInputError(f"parameters have the shape {vector.shape}; this potential has ({self.n_parameters},).")
        n_moment, n_species = self.moment_coefficients.size, self.species_coefficients.size
        return replace(
            self,
            moment_coefficients=vector[:n_moment],
            species_coefficients=vector[n_moment : n_moment + n_species],
            radial_coefficients=vector[n_moment + n_species :].reshape(self.radial_coefficients.shape),
        )


def checked_elements(elements: Sequence[str]) -> tuple[str, ...]:
    """Return the elements, each known and named once.

    Raises
    ------
    BadInputError
        If there is none, or one is unknown or named twice.
    """
    from ase.data import atomic_numbers

    if isinstance(elements, str) or not elements:
        raise BadInputError(f"elements are {elements!r}; give a list of chemical symbols, say Li, P, S.")
    for element in elements:
        if atomic_numbers.get(element, 0) < 1:
            raise BadInputError(f"{element!r} is no chemical symbol; write Li, P, S …")
        if list(elements).count(element) > 1:
            raise BadInputError(f"{element} is named twice among the elements {', '.join(elements)}; name each once.")
    return tuple(elements)


def check_range(min_distance_A: float, cutoff_A: float) -> None:
    """Refuse a range of distances that no radial function can have.

    Raises
    ------
    BadInputError
        Unless 0 <= min_distance_A < cutoff_A, both finite.
    """
    if not (0.0 <= min_distance_A < cutoff_A < np.inf):
        raise BadInputError(
            f"the smallest distance is {min_distance_A:g} Å and the cutoff {cutoff_A:g} Å: the smallest distance must "
            "not be negative and be below the cutoff, say 1.5 and 5."
        )


def random_start(
    basis: MomentBasis | int,
    elements: Sequence[str],
    *,
    min_distance_A: float,
    cutoff_A: float,
    radial_size: int = 8,
    seed: int = 0,
    largest_moment: float = 5.0,
    largest_species_eV: float = 5.0,
    largest_radial: float = 0.1,
) -> MomentTensorPotential:
    """Potential with random coefficients, for training to start from.

    Parameters
    ----------
    basis : MomentBasis or int
        Or its level.
    elements : sequence of str
        Chemical symbols of the types 0, 1 …
    min_distance_A, cutoff_A : float, Å
    radial_size : int
        Chebyshev polynomials of each radial function.
    seed : int
    largest_moment, largest_species_eV, largest_radial : float
        Coefficients are uniform between minus this and this; by default as motep starts.

    Returns
    -------
    MomentTensorPotential

    Raises
    ------
    BadInputError
        If an argument is not allowed.

    Examples
    --------
    >>> start = random_start(10, ["Li", "S"], min_distance_A=1.8, cutoff_A=5.0, seed=3)
    >>> start.radial_coefficients.shape, bool(abs(start.radial_coefficients).max() < 0.1)
    ((2, 2, 3, 8), True)
    """
    if isinstance(basis, int):
        basis = moment_basis(basis)
    if radial_size < 1:
        raise BadInputError(f"{radial_size} Chebyshev polynomials are too few; 8 are usual.")
    rng = np.random.default_rng(seed)
    n_elements = len(elements)
    return MomentTensorPotential(
        basis=basis,
        elements=tuple(elements),
        min_distance_A=min_distance_A,
        cutoff_A=cutoff_A,
        species_coefficients=rng.uniform(-largest_species_eV, largest_species_eV, n_elements),
        moment_coefficients=rng.uniform(-largest_moment, largest_moment, basis.n_scalars),
        radial_coefficients=rng.uniform(
            -largest_radial, largest_radial, (n_elements, n_elements, basis.n_radial, radial_size)
        ),
    )
