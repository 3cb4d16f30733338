from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from lipsdb.errors import RefusedError
from lipsdb.potentials.mtp.optimisation import Minimisation, advance, start

X0 = np.array([1.3, 0.7, 0.8, 1.9, 1.2])


def rosenbrock(x):
    return float(rosen(x)), rosen_der(x)


def minimise(objective, state: Minimisation, *, iterations=7, max_iterations=200, tolerance=0.0, **options):
    while not state.ended:
        state = advance(
            objective, state, iterations=iterations, max_iterations=max_iterations, tolerance=tolerance, **options
        )
    return state


def test_rounds_reach_the_minimum_of_the_rosenbrock_function():
    state = minimise(rosenbrock, start(rosenbrock, X0), max_iterations=500)
    np.testing.assert_allclose(state.parameters, 1.0, atol=1e-6)
    assert state.converged
    assert (np.diff(state.losses) <= 0).all()


def test_a_round_that_was_lost_is_repeated_to_the_same_bits():
    class LostError(Exception):
        pass

    def lose(iteration, parameters, loss):
        if iteration == 17:
            raise LostError

    options = {"iterations": 7, "max_iterations": 40, "tolerance": 0.0}
    whole = minimise(rosenbrock, start(rosenbrock, X0), **options)
    state = start(rosenbrock, X0)
    for _ in range(2):
        state = advance(rosenbrock, state, **options)
    with pytest.raises(LostError):
        advance(rosenbrock, state, **options, on_iteration=lose)
    kept = Minimisation(
        *(np.frombuffer(a.tobytes()).reshape(a.shape) for a in (state.parameters, state.losses, state.inverse_hessian))
    )
    again = minimise(rosenbrock, kept, **options)
    np.testing.assert_array_equal(again.parameters, whole.parameters)
    np.testing.assert_array_equal(again.losses, whole.losses)


def test_the_estimate_of_the_hessian_is_carried_over_from_round_to_round():
    rng = np.random.default_rng(1)
    scales = np.logspace(0, 4, 12)
    turned = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    hessian = turned @ np.diag(scales) @ turned.T

    def bowl(x):
        return float(0.5 * x @ hessian @ x), hessian @ x

    def iterations_to(loss, forget):
        state = start(bowl, rng.normal(size=12))
        while state.losses[-1] > loss * state.losses[0] and state.iterations < 400:
            state = advance(bowl, state, iterations=5, max_iterations=400, tolerance=0.0)
            state = replace(state, inverse_hessian=None) if forget else state
        return state.iterations

    assert 3 * iterations_to(1e-8, forget=False) < iterations_to(1e-8, forget=True)


def test_iterations_run_out_without_convergence():
    state = minimise(rosenbrock, start(rosenbrock, X0), max_iterations=9)
    assert state.iterations == 9
    assert not state.converged
    assert state.ended == "not converged: 9 iterations (max_iterations) are done"


def test_it_ends_as_soon_as_fifty_iterations_gain_less_than_the_tolerance():
    def raised(x):
        return 1 + float(rosen(x)), rosen_der(x)

    state = minimise(raised, start(raised, np.linspace(-1.5, 2.0, 30)), tolerance=1e-3, max_iterations=1000)
    gained = 1 - state.losses[50:] / state.losses[:-50]
    assert state.converged
    assert state.ended == "converged: less than 0.001 of the loss in 50 iterations to gain"
    assert gained[-1] < 1e-3
    assert (gained[:-1] >= 1e-3).all()


def test_a_loss_that_is_not_a_number_is_refused():
    with pytest.raises(RefusedError, match="the loss is nan at iteration 0: the training diverged"):
        start(lambda x: (float("nan"), x), np.ones(2))
