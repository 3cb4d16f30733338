from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lipsdb.errors import BadInputError
from lipsdb.potentials.mtp.basis import MomentBasis, moment_basis

# alpha_moments_count and alpha_index_times_count of the templates that MLIP ships.
MLIP_MOMENTS_AND_PRODUCTS = {8: (18, 14), 12: (84, 117), 16: (350, 969)}


def contractions_of_motep(level: int) -> list[Any]:
    folder = files("motep") / "potentials" / "mtp" / "jax" / "precomputed_moments"
    return json.loads((folder / f"moments_level{level}.json").read_text())


def environment(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors to five neighbours, and the values of eight radial functions at each."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(5, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), rng.uniform(0.2, 1.0, (8, 5))


def scalars(basis: MomentBasis, directions: np.ndarray, radial: np.ndarray) -> np.ndarray:
    moments = np.zeros(basis.n_moments)
    mu, powers = basis.basic[:, 0], basis.basic[:, 1:]
    moments[: len(mu)] = (radial[mu] * np.prod(directions[None] ** powers[:, None, :], axis=2)).sum(axis=1)
    for i, j, multiplicity, k in basis.products:
        moments[k] += multiplicity * moments[i] * moments[j]
    return moments[basis.scalars]


def scalars_of_motep(level: int, directions: np.ndarray, radial: np.ndarray) -> np.ndarray:
    """Full tensors, contracted as motep's tables say."""

    def frozen(item: Any) -> Any:
        return tuple(frozen(part) for part in item) if isinstance(item, list) else item

    @cache
    def tensor(item: Any) -> np.ndarray:
        if len(item) == 3:
            mu, rank, _ = item
            outer = np.ones((len(directions), 1))
            for _ in range(rank):
                outer = (outer[:, :, None] * directions[:, None, :]).reshape(len(directions), -1)
            return (radial[mu] @ outer).reshape((3,) * rank)
        one, other, _, axes = item
        return np.tensordot(tensor(one), tensor(other), axes=axes)

    return np.array([float(tensor(frozen(item))) for item in contractions_of_motep(level)])


@pytest.mark.parametrize("level", [22, 24])
def test_there_are_as_many_scalars_as_in_motep(level):
    assert moment_basis(level).n_scalars == len(contractions_of_motep(level))


@pytest.mark.parametrize("level", [2, 4, 6, 8, 10, 12, 14, 16, 18, 20])
def test_each_scalar_is_one_of_motep_and_none_comes_twice(level):
    for seed in (1, 2):
        ours = scalars(moment_basis(level), *environment(seed))
        theirs = scalars_of_motep(level, *environment(seed))
        assert np.diff(np.sort(ours)).min(initial=1.0) > 1e-9
        np.testing.assert_allclose(np.sort(ours), np.sort(theirs), rtol=1e-9)


def test_scalars_do_not_change_on_rotation_or_another_order_of_neighbours():
    directions, radial = environment(3)
    turned = directions @ Rotation.random(random_state=1).as_matrix().T
    order = [3, 0, 4, 2, 1]
    expected = scalars(moment_basis(16), directions, radial)
    np.testing.assert_allclose(scalars(moment_basis(16), turned[order], radial[:, order]), expected, rtol=1e-9)


@pytest.mark.parametrize(("level", "of_mlip"), MLIP_MOMENTS_AND_PRODUCTS.items())
def test_it_takes_no_more_moments_and_products_than_in_the_templates_of_mlip(level, of_mlip):
    basis = moment_basis(level)
    assert basis.n_moments <= of_mlip[0]
    assert len(basis.products) <= of_mlip[1]


@pytest.mark.parametrize("level", [2, 6, 12, 18])
def test_tables_are_in_order(level):
    basis = moment_basis(level)
    n_basic = len(basis.basic)
    assert sorted(set(basis.basic[:, 0].tolist())) == list(range(basis.n_radial))
    assert len({tuple(row) for row in basis.basic.tolist()}) == n_basic
    assert sorted({*basis.products[:, 3].tolist()}) == list(range(n_basic, basis.n_moments))
    last = {moment: row for row, moment in enumerate(basis.products[:, 3].tolist())}
    assert all(max(last.get(i, -1), last.get(j, -1)) < row for row, (i, j, _, _) in enumerate(basis.products.tolist()))
    assert len(set(basis.scalars.tolist())) == basis.n_scalars
    used = {*basis.products[:, :2].ravel().tolist(), *basis.scalars.tolist()}
    assert used == set(range(basis.n_moments))


def test_the_basis_is_made_once_and_cannot_be_changed():
    assert moment_basis(8) is moment_basis(8)
    with pytest.raises(ValueError, match="read-only"):
        moment_basis(8).products[0, 0] = 1


@pytest.mark.parametrize("level", [-2, 0, 7, 30])
def test_other_levels_are_refused(level):
    with pytest.raises(BadInputError, match=f"{level} is no level .* even number from 2 to 28"):
        moment_basis(level)
