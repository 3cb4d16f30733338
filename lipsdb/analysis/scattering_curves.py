"""What neutrons and X-rays see of partial structure factors, and how far that is from a measured curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from lipsdb.analysis.scattering_tables import form_factors, scattering_lengths
from lipsdb.analysis.structure_factor import StructureFactor
from lipsdb.analysis.trajectory_arrays import FloatArray
from lipsdb.errors import BadInputError

Form = Literal["S", "S-1", "Q(S-1)", "interference"]


@dataclass(frozen=True)
class ScatteringCurve:
    """Structure factor that a scattering experiment measures.

    Attributes
    ----------
    q : (n_q,) array
        Scattering vector, Å⁻¹.
    interference : (n_q,) array
        ``Σ c_i c_j w_i w_j (S_ij - 1)`` as in the study: fm² an atom for neutrons, electrons² an atom for X-rays; 0 at
        large Q.
    normalised : (n_q,) array
        ``1 + interference / (Σ c_i w_i)²``, dimensionless, 1 at large Q: what most experiments are published as.
    square : (n_q,) array
        ``(Σ c_i w_i)²``, in the unit of the interference.
    """

    q: FloatArray
    interference: FloatArray
    normalised: FloatArray
    square: FloatArray

    def in_form(self, form: Form) -> FloatArray:
        """The curve as experiments are published, (n_q,).

        Parameters
        ----------
        form : {"S", "S-1", "Q(S-1)", "interference"}
            S being the normalised curve.
        """
        if form == "interference":
            return self.interference
        if form == "S":
            return self.normalised
        return (self.normalised - 1.0) * (self.q if form == "Q(S-1)" else 1.0)

    def normalised_from(self, q: ArrayLike, values: ArrayLike, form: Form) -> FloatArray:
        """A measured curve of the same sample in some form as S(Q), dimensionless: the inverse of `in_form`.

        Parameters
        ----------
        q : (n,) array, Å⁻¹
            Positive.
        values : (n,) array
            Measured there.
        form : {"S", "S-1", "Q(S-1)", "interference"}
            What they are.

        Returns
        -------
        (n,) array
        """
        wanted, array = np.asarray(q, dtype=np.float64), np.asarray(values, dtype=np.float64)
        if form == "S":
            return array
        if form == "interference":
            return 1.0 + array / np.interp(wanted, self.q, self.square)
        return 1.0 + array / (wanted if form == "Q(S-1)" else 1.0)


def _weighted(factor: StructureFactor, weights: FloatArray) -> ScatteringCurve:
    weighted = factor.fractions[:, None] * weights
    interference: FloatArray = np.einsum("iq,jq,ijq->q", weighted, weighted, factor.partial - 1.0)
    square = weighted.sum(axis=0) ** 2
    normalised = np.full(square.shape, np.nan)
    np.divide(interference, square, out=normalised, where=square > 1e-12 * (weights**2).max())
    return ScatteringCurve(factor.q, interference, 1.0 + normalised, square)


def neutron_structure_factor(factor: StructureFactor, lengths_fm: Mapping[str, float] | None = None) -> ScatteringCurve:
    """Neutron structure factor: interference function in fm² and its normalised form, dimensionless.

    Parameters
    ----------
    factor : StructureFactor
        Partials.
    lengths_fm : mapping of str to float, fm, optional
        Coherent scattering lengths instead of the natural element's (`scattering_lengths`): isotopes.

    Returns
    -------
    ScatteringCurve
        Interference in fm² an atom (100 fm² are 1 barn).

    Raises
    ------
    BadInputError
        An element without a scattering length.

    Notes
    -----
    ``S_N(Q) = Σ_i Σ_j c_i c_j b_i b_j [S_ij(Q) - 1]``. The sum is over i and j independently, so that unlike pairs
    count twice, as measured. The normalised form is NaN for a null-scattering mixture.

    References
    ----------
    doi:10.1038/s41467-025-56322-x, eq. 5, Figs. S1 and S2.

    Examples
    --------
    >>> one = StructureFactor(("P",), np.ones(1), np.array([2.0]), np.array([[[1.5]]]), 0.1)
    >>> curve = neutron_structure_factor(one)
    >>> curve.interference.round(3).tolist(), curve.normalised.round(3).tolist()
    ([13.158], [1.5])
    """
    return _weighted(factor, scattering_lengths(factor.elements, lengths_fm)[:, None] * np.ones(len(factor.q)))


def xray_structure_factor(factor: StructureFactor, factors: Mapping[str, ArrayLike] | None = None) -> ScatteringCurve:
    """X-ray structure factor: interference function in electrons² and its normalised form, dimensionless.

    Parameters
    ----------
    factor : StructureFactor
        Partials.
    factors : mapping of str to (n_q,) array, electrons, optional
        Form factors at `factor.q` instead of the neutral atom's (`form_factors`): ions, or elements not tabulated.

    Returns
    -------
    ScatteringCurve
        Interference in electrons² an atom.

    Raises
    ------
    BadInputError
        An element without a form factor, or Q beyond the tables.

    Notes
    -----
    ``S_X(Q) = Σ_i Σ_j c_i c_j f_i(Q) f_j(Q) [S_ij(Q) - 1]``, over i and j independently, with `form_factors`.

    References
    ----------
    doi:10.1038/s41467-025-56322-x, eq. 4, Fig. S1 (inset).

    Examples
    --------
    >>> one = StructureFactor(("S",), np.ones(1), np.array([5.0]), np.array([[[1.5]]]), 0.1)
    >>> xray_structure_factor(one).normalised.round(3).tolist()
    [1.5]
    """
    return _weighted(factor, form_factors(factor.elements, factor.q, factors))


@dataclass(frozen=True)
class DiffractionPeak:
    """A maximum of a structure factor."""

    q: float  # Å⁻¹; NaN if there is none
    height: float  # of the curve there, in its unit


def first_sharp_peak(
    q: ArrayLike, values: ArrayLike, *, q_min: float = 0.5, prominence: float = 0.2
) -> DiffractionPeak:
    """Position in Å⁻¹ and height of the first sharp diffraction peak.

    Parameters
    ----------
    q : (n,) array, Å⁻¹
        Increasing; points whose value is NaN are left out.
    values : (n,) array
        Structure factor.
    q_min : float, Å⁻¹
        Maxima below this are ripples of the transform, or waves as long as the cell.
    prominence : float
        By how much a maximum must stand above the minima beside it (`scipy.signal.find_peaks`), as a share of the
        curve's range beyond q_min: one that is smaller is noise.

    Returns
    -------
    DiffractionPeak
        A point of the curve: as exact as they are dense. In a crystal the first Bragg peak that is strong enough.

    Examples
    --------
    >>> q = np.arange(0.05, 15.0, 0.05)
    >>> peak = first_sharp_peak(q, 1 + 0.5 * np.exp(-(((q - 1.2) / 0.2) ** 2)) + np.exp(-(((q - 3.0) / 0.3) ** 2)))
    >>> round(peak.q, 3), round(peak.height, 3)
    (1.2, 1.5)
    """
    from scipy.signal import find_peaks

    wanted, array = np.asarray(q, dtype=np.float64), np.asarray(values, dtype=np.float64)
    used = np.isfinite(array) & (wanted >= q_min)
    wanted, array = wanted[used], array[used]
    tops = find_peaks(array, prominence=prominence * np.ptp(array))[0] if array.size else []
    return (
        DiffractionPeak(float(wanted[tops[0]]), float(array[tops[0]])) if len(tops) else DiffractionPeak(np.nan, np.nan)
    )


@dataclass(frozen=True)
class WrightFactor:
    """Wright's factor between a simulated and a measured curve."""

    value: float  # %, 0 for full agreement
    q_min: float  # Å⁻¹, first and
    q_max: float  # Å⁻¹, last measured point compared
    n_points: int


def wright_factor(
    q: ArrayLike,
    simulated: ArrayLike,
    measured_q: ArrayLike,
    measured: ArrayLike,
    *,
    q_min: float | None = None,
    q_max: float | None = None,
) -> WrightFactor:
    """Wright's R factor in % between a simulated and a measured structure factor.

    Parameters
    ----------
    q, simulated : (n,) arrays, Å⁻¹ and any unit
        Q increasing; points that are NaN are left out.
    measured_q, measured : (m,) arrays, Å⁻¹ and the same unit
        In any order; points that are NaN are left out.
    q_min, q_max : float, Å⁻¹, optional
        Range compared; the overlap of the two curves if not given. It may not exceed the overlap.

    Returns
    -------
    WrightFactor

    Raises
    ------
    BadInputError
        Arrays that do not fit together, a range beyond the curves, or fewer than two measured points in it.

    Notes
    -----
    ``R = 100 √( Σ_k [S_exp(Q_k) - S_sim(Q_k)]² / Σ_k S_exp(Q_k)² )``, the simulated curve interpolated linearly to the
    measured points, each of which counts the same; no scale or background is fitted. Wright compares T(r) in this way;
    here it is whatever curve is given. Its size depends on that: S(Q), which tends to 1, gives a smaller value than
    ``Q [S(Q) - 1]``, so compare only values of the same form and range. The study does not print its own.

    References
    ----------
    A. C. Wright, J. Non-Cryst. Solids 159, 264 (1993), doi:10.1016/0022-3093(93)90232-M.
    doi:10.1038/s41467-025-56322-x, Fig. S1 (R_c).

    Examples
    --------
    >>> q = np.linspace(1.0, 10.0, 50)
    >>> round(wright_factor(q, 0.9 * np.sin(q), q, np.sin(q)).value, 6)
    10.0
    """
    curves = []
    for name, x, y in (("simulated", q, simulated), ("measured", measured_q, measured)):
        xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if xs.ndim != 1 or xs.shape != ys.shape or not (usable := np.isfinite(xs) & np.isfinite(ys)).any():
            raise BadInputError(
                f"the {name} curve has Q of shape {xs.shape} and values of shape {ys.shape}; "
                "expected two equally long rows of numbers"
            )
        order = np.argsort(xs[usable], kind="stable")
        curves.append((xs[usable][order], ys[usable][order]))
    (own_q, own), (other_q, other) = curves
    low, high = max(own_q[0], other_q[0]), min(own_q[-1], other_q[-1])
    first, last = (low if q_min is None else q_min), (high if q_max is None else q_max)
    within = (other_q >= first) & (other_q <= last)
    if not low <= first < last <= high or within.sum() < 2 or not other[within].any():
        raise BadInputError(
            f"the range {first:g} to {last:g} 1/Å holds {int(within.sum())} measured points; "
            f"expected two or more, not all 0, within {low:g} to {high:g} 1/Å, where both curves are known"
        )
    difference = other[within] - np.interp(other_q[within], own_q, own)
    value = 100.0 * np.sqrt(float(difference @ difference) / float(other[within] @ other[within]))
    return WrightFactor(float(value), float(other_q[within][0]), float(other_q[within][-1]), int(within.sum()))
