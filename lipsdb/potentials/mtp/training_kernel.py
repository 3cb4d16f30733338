"""Loss of a moment tensor potential on labelled frames, and its gradient with respect to all coefficients.

The adjoint method: the errors of forces and virial define a displacement of all atoms, along which the derivative of
the energies is taken (tangents); one sweep back from there gives the derivative with respect to every coefficient.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.adjoint import Factors, Packed, add_chunk
from lipsdb.potentials.mtp.moments import tables
from lipsdb.potentials.mtp.potential import MomentTensorPotential
from lipsdb.potentials.mtp.training_data import TrainingData

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LossWeights:
    """Weights of the squared errors in the loss: of energies, forces and virials."""

    energy: float = 1.0
    force: float = 0.01
    stress: float = 0.001


@dataclass(frozen=True)
class LossTerms:
    """Sums of squared errors over all frames, and how many there are.

    Attributes
    ----------
    n_frames, n_force_components, n_virial_components : int
    energy_squares : float, (eV/atom)²
        Over the frames.
    force_squares : float, (eV/Å)²
        Over the force components.
    virial_squares : float, (eV/atom)²
        Over the nine components of the frames that have virial labels.
    """

    n_frames: int
    n_force_components: int
    n_virial_components: int
    energy_squares: float
    force_squares: float
    virial_squares: float

    @property
    def energy_rmse(self) -> float:
        """Root-mean-square error of the energies, eV/atom."""
        return _root_mean(self.energy_squares, self.n_frames)

    @property
    def force_rmse(self) -> float:
        """Root-mean-square error of the force components, eV/Å."""
        return _root_mean(self.force_squares, self.n_force_components)

    @property
    def virial_rmse(self) -> float | None:
        """Root-mean-square error of the virial components, eV/atom; None without virial labels."""
        return _root_mean(self.virial_squares, self.n_virial_components) if self.n_virial_components else None


def _root_mean(squares: float, count: int) -> float:
    return float(np.sqrt(squares / count))


def loss_and_gradient(
    potential: MomentTensorPotential, data: TrainingData, weights: LossWeights | None = None, *, threads: int = 1
) -> tuple[float, FloatArray, LossTerms]:
    r"""Loss and its gradient with respect to the potential's parameters.

    Parameters
    ----------
    potential : MomentTensorPotential
        Of the elements and cutoff that the data were packed for.
    data : TrainingData
    weights : LossWeights, optional
    threads : int
        The result is the same to the last bit for any number.

    Returns
    -------
    loss : float
    gradient : (n_parameters,) array
        In the order of `potential.parameters`.
    terms : LossTerms

    Raises
    ------
    BadInputError
        If elements or cutoff of the potential and the data differ, or `threads` is below 1.

    Notes
    -----
    With :math:`N` frames of :math:`n_f` atoms each, and :math:`W` the virial,

    .. math:: L = \frac{1}{N} \sum_f \left[ \frac{w_E\, \Delta E_f^2}{n_f^2}
                  + \frac{w_F}{n_f} \sum_{i} |\Delta F_i|^2 + \frac{w_S\, \|\Delta W_f\|^2}{n_f^2} \right] ,

    the loss of MLIP and motep with their default conventions; a frame without virial labels lacks the last term.

    References
    ----------
    I. S. Novikov et al., Mach. Learn.: Sci. Technol. 2, 025002 (2021), doi:10.1088/2632-2153/abc9fe, eq. (9).

    Examples
    --------
    >>> from lipsdb.potentials.mtp.potential import random_start
    >>> from lipsdb.potentials.mtp.training_data import training_data
    >>> from lipsdb.potentials.training_set import LabelledFrames
    >>> salt = LabelledFrames([3, 3], [[[0, 0, 0], [0, 0, 3.0]]], [9 * np.eye(3)], [-1.0], np.zeros((1, 2, 3)))
    >>> potential = random_start(2, ["Li"], min_distance_A=1.5, cutoff_A=5.0, radial_size=4, seed=1)
    >>> loss, gradient, terms = loss_and_gradient(potential, training_data({"salt": salt}, ["Li"], 5.0))
    >>> gradient.size, bool(np.isclose(loss, terms.energy_squares + 0.01 * terms.force_squares / 2))
    (6, True)
    """
    return _evaluate(potential, data, weights or LossWeights(), threads, with_gradient=True)


def loss_terms(
    potential: MomentTensorPotential, data: TrainingData, weights: LossWeights | None = None, *, threads: int = 1
) -> tuple[float, LossTerms]:
    """Loss and squared errors alone, in less than half of the time: for held-out frames.

    Parameters
    ----------
    potential, data, weights, threads
        As for `loss_and_gradient`.

    Returns
    -------
    loss : float
    terms : LossTerms
    """
    loss, _, terms = _evaluate(potential, data, weights or LossWeights(), threads, with_gradient=False)
    return loss, terms


def _evaluate(
    potential: MomentTensorPotential, data: TrainingData, weights: LossWeights, threads: int, *, with_gradient: bool
) -> tuple[float, FloatArray, LossTerms]:
    if potential.elements != data.elements or potential.cutoff_A != data.cutoff_A:
        raise BadInputError(
            f"the potential is of {', '.join(potential.elements)} with a cutoff of {potential.cutoff_A} Å, but the "
            f"data are of {', '.join(data.elements)} and {data.cutoff_A} Å: pack the frames for this potential."
        )
    if threads < 1:
        raise BadInputError(f"threads is {threads}: give the number of processor cores to use, at least 1.")
    model = tables(potential)
    scalars = potential.basis.scalars.astype(np.int64)
    packed = Packed(*(getattr(data, name) for name in Packed._fields))
    per_atom = 1.0 / np.diff(data.first_atom)
    factors = Factors(
        energy=weights.energy * per_atom**2 / data.n_frames,
        force=weights.force * per_atom / data.n_frames,
        virial=weights.stress * data.has_virial * per_atom**2 / data.n_frames,
    )
    errors = np.zeros((data.n_frames, 3))
    n_chunks = data.chunk_frames.size - 1
    gradients = np.zeros((n_chunks, potential.n_parameters))

    def run(chunk: int) -> None:
        add_chunk(chunk, model, scalars, packed, factors, with_gradient, errors, gradients[chunk])

    _for_each(run, n_chunks, threads)
    energy_squares, (force_squares, virial_squares) = errors[:, 0] ** 2, errors[:, 1:].T
    loss = factors.energy @ energy_squares + factors.force @ force_squares + factors.virial @ virial_squares
    gradient = gradients.sum(axis=0)
    gradient[potential.n_parameters - potential.radial_coefficients.size :] *= potential.scaling
    terms = LossTerms(
        n_frames=data.n_frames,
        n_force_components=data.forces.size,
        n_virial_components=9 * int(data.has_virial.sum()),
        energy_squares=float(energy_squares @ per_atom**2),
        force_squares=float(force_squares.sum()),
        virial_squares=float((virial_squares * data.has_virial) @ per_atom**2),
    )
    return float(loss), gradient, terms


def _for_each(run: Callable[[int], None], n_chunks: int, threads: int) -> None:
    if threads == 1 or n_chunks == 1:
        for chunk in range(n_chunks):
            run(chunk)
        return
    with ThreadPoolExecutor(max_workers=min(threads, n_chunks)) as pool:
        list(pool.map(run, range(n_chunks)))
