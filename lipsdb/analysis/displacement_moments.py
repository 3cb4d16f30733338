"""Second and fourth moments of displacements over all time origins, by FFT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsdb.analysis.atom_blocks import (
    cache_blocks,
    displacements,
    group_ranges,
    map_atom_blocks,
    squared_lengths,
)
from lipsdb.analysis.trajectory_arrays import FloatArray, IntArray, PositionArray

# Rounding of a sum by FFT, in units of the machine precision times the sum of the fourth powers of the distances from
# each atom's mean position: 1 to 100 for walks, flights, vibrations and jumps of 1e2 to 1e4 frames.
ROUNDING_UNITS = 100.0
# Where rounding might change the fourth moment by more than this fraction, it is summed directly.
MOST_ROUNDING = 1e-7


@dataclass(frozen=True, eq=False)
class DisplacementMoments:
    """Moments of the displacements of groups of atoms at several lags, over all time origins.

    Attributes
    ----------
    lags : (n_lags,) array of int, frames
    n_atoms : (n_groups,) array of int
        Atoms in each group.
    squares : (n_groups, n_lags, 3) array, Å²
        Mean squared displacement along x, y, z.
    fourth : (n_groups, n_lags) array, Å⁴
        Mean fourth power of the displacement; empty, of shape (n_groups, 0), if not asked for.
    """

    lags: IntArray
    n_atoms: IntArray
    squares: FloatArray
    fourth: FloatArray


def displacement_moments(
    positions: PositionArray, lags: IntArray, *, n_groups: int = 1, fourth: bool = False, threads: int | None = None
) -> DisplacementMoments:
    """Mean squared displacement in Å² along each axis and, if wanted, mean fourth power in Å⁴, of groups of atoms.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array, Å, unwrapped
        Checked, equally spaced in time.
    lags : (n_lags,) array of int, frames
        From 0 to ``n_frames - 1``.
    n_groups : int
        Consecutive, nearly equal groups of atoms.
    fourth : bool
        Whether the fourth power is wanted; it takes four times as long.
    threads : int, optional
        The number of cores, at most 2, if not given.

    Returns
    -------
    DisplacementMoments

    Raises
    ------
    BadInputError
        More groups than atoms.

    Notes
    -----
    With ``a = |r(k+m)|²``, ``b = |r(k)|²`` and ``c = r(k+m)·r(k)`` of one atom, the squared displacement is
    ``a + b - 2c`` and its square ``a² + b² + 2ab + 4c² - 4ac - 4bc``. Summed over the origins k, ``a``, ``b``, ``a²``
    and ``b²`` are running sums. All else are correlations: of the components of ``r`` for ``c``; of ``|r|²`` for
    ``ab``; of the six products ``r_i r_j`` for ``c²``; of ``|r|² r_i`` with ``r_i`` for ``ac + bc``. They are products
    of Fourier transforms (3 an atom for the squares, 12 for the fourth power), zero-padded by the longest lag, that
    are summed over the atoms before one transform back: O(N log N) an atom, whatever the number of lags. Atoms go in
    pairs, as real and imaginary part of one series: the real part of its correlation is the sum of theirs.

    Each atom's mean position is subtracted first, which limits cancellation. Where what remains of it could change the
    fourth moment by more than 1e-7 of itself (lags so short that atoms move by less than about 1/50 of what they travel
    in all), that lag is summed directly.

    Examples
    --------
    >>> straight = np.arange(4.0)[:, None, None] * np.array([1.0, 2.0, 0.0])
    >>> moments = displacement_moments(straight, np.array([1, 2]), fourth=True)
    >>> moments.squares.round(9).tolist(), moments.fourth.round(9).tolist()
    ([[[1.0, 4.0, 0.0], [4.0, 16.0, 0.0]]], [[25.0, 400.0]])
    """
    from scipy import fft

    n_frames, total_atoms, _ = positions.shape
    longest = int(lags.max())
    padded = fft.next_fast_len(n_frames + longest)
    rows = 4 if fourth else 3  # x, y, z and, in the last row, what the fourth power needs
    spectra = np.zeros((n_groups, rows, padded))
    powers = np.zeros((n_groups, rows, n_frames))

    def work(paths: FloatArray) -> tuple[FloatArray, FloatArray]:
        return _spectrum_and_powers(paths, padded, fourth=fourth)

    for group, (spectrum, power) in map_atom_blocks(work, positions, n_groups=n_groups, threads=threads):
        spectra[group] += spectrum
        powers[group] += power
    n_atoms = np.array([size for _, size in group_ranges(total_atoms, n_groups)])
    samples = n_atoms[:, None] * (n_frames - lags)
    cross = fft.ifft(spectra, axis=-1)[..., lags].real
    running = np.zeros((n_groups, rows, n_frames + 1), dtype=np.longdouble)  # rounding of running sums adds up
    np.cumsum(powers, axis=-1, dtype=np.longdouble, out=running[..., 1:])
    # The powers at the ends (origin + lag) plus those at the origins.
    both = running[..., -1:] - running[..., lags] + running[..., n_frames - lags]
    sums = (both + cross).astype(np.float64)
    sums[..., lags == 0] = 0.0
    if fourth:
        rounding = ROUNDING_UNITS * np.finfo(np.float64).eps * powers[:, 3].sum(axis=-1, keepdims=True)
        unsafe = (rounding > MOST_ROUNDING * sums[:, 3]).any(axis=0) & (lags > 0)
        if unsafe.any():
            sums[:, 3, unsafe] = _direct_fourth(positions, lags[unsafe], n_groups, threads)
    means = np.maximum(sums, 0.0) / samples[:, None, :]
    return DisplacementMoments(
        lags=lags,
        n_atoms=n_atoms,
        squares=means[:, :3].transpose(0, 2, 1),
        fourth=means[:, 3] if fourth else means[:, 0, :0],
    )


def _spectrum_and_powers(paths: FloatArray, padded: int, *, fourth: bool) -> tuple[FloatArray, FloatArray]:
    n_atoms, _, n_frames = paths.shape
    rows, signals = (4, 12) if fourth else (3, 3)
    spectrum = np.zeros((rows, 2 * padded))  # of real and imaginary parts in turn
    powers = np.zeros((rows, n_frames))
    paths -= paths.mean(axis=2, keepdims=True)
    pairs = list(cache_blocks((n_atoms + 1) // 2, signals * 16 * padded))
    # One buffer, transformed in place: fresh memory would cost about as much as the transforms.
    whole = np.empty((pairs[0].stop, signals, padded), dtype=np.complex128)
    for some in pairs:
        part = paths[2 * some.start : 2 * some.stop]
        buffer = whole[: some.stop - some.start]
        buffer[..., n_frames:] = 0.0
        if len(part) % 2:
            buffer.imag[-1] = 0.0
        _fill(buffer.real[..., :n_frames], part[0::2])
        _fill(buffer.imag[: len(part) // 2, :, :n_frames], part[1::2])
        powers[:3] += np.einsum("acf,acf->cf", part, part)
        if fourth:
            square = np.einsum("acf,acf->af", part, part)
            powers[3] += np.einsum("af,af->f", square, square)
        _add_spectra(spectrum, _transformed(buffer))
    return spectrum[:, 0::2] + spectrum[:, 1::2], powers


def _fill(signals: FloatArray, paths: FloatArray) -> None:
    """Write x, y, z and, where there is room, x², y², z², xy, yz, zx, and x, y, z times |r|²."""
    signals[:, :3] = paths
    if signals.shape[1] > 3:
        squares = np.multiply(paths, paths, out=signals[:, 3:6])
        np.multiply(paths, paths[:, [1, 2, 0]], out=signals[:, 6:9])
        np.multiply(paths, squares.sum(axis=1)[:, None], out=signals[:, 9:12])


def _transformed(buffer: NDArray[np.complex128]) -> FloatArray:
    """Fourier transform in place; real and imaginary parts in turn."""
    from scipy import fft

    transform: FloatArray = fft.fft(buffer, axis=-1, overwrite_x=True).view(np.float64)
    return transform


def _add_spectra(spectrum: FloatArray, transform: FloatArray) -> None:
    if len(spectrum) > 3:
        vectors, diagonal, mixed, cubes = (transform[:, first : first + 3] for first in (0, 3, 6, 9))
        trace = diagonal.sum(axis=1)
        spectrum[3] += 2.0 * np.einsum("af,af->f", trace, trace)
        spectrum[3] += 4.0 * np.einsum("acf,acf->f", diagonal, diagonal)
        spectrum[3] += 8.0 * np.einsum("acf,acf->f", mixed, mixed)
        spectrum[3] -= 8.0 * np.einsum("acf,acf->f", cubes, vectors)
    spectrum[:3] -= 2.0 * np.einsum("acf,acf->cf", transform[:, :3], transform[:, :3])


def _direct_fourth(positions: PositionArray, lags: IntArray, n_groups: int, threads: int | None) -> FloatArray:
    def work(paths: FloatArray) -> FloatArray:
        total = np.zeros(lags.size)
        for index, steps in displacements(paths, lags):
            squares = squared_lengths(steps)
            total[index] += np.einsum("af,af->", squares, squares)
        return total

    sums = np.zeros((n_groups, lags.size))
    for group, part in map_atom_blocks(work, positions, n_groups=n_groups, threads=threads):
        sums[group] += part
    return sums


def jackknife_std(left: FloatArray) -> FloatArray:
    """Standard error of a quantity, in its unit, from its values with each group of atoms left out in turn.

    Parameters
    ----------
    left : (n_groups, ...) array

    Returns
    -------
    (...) array
        NaN for a single group.

    Examples
    --------
    >>> float(jackknife_std(np.array([1.0, 3.0])))
    1.0
    """
    if len(left) < 2:
        return np.full(left.shape[1:], np.nan)
    std: FloatArray = np.sqrt((len(left) - 1) * left.var(axis=0))
    return std
