"""Minimising a loss by BFGS in short rounds, so that it can stop after each and go on later to the same result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsdb.errors import RefusedError

FloatArray = NDArray[np.float64]
Objective = Callable[[FloatArray], tuple[float, FloatArray]]

#: The fall of the loss is judged over so many iterations, as MLIP does.
JUDGED_ITERATIONS = 50


@dataclass(frozen=True)
class Minimisation:
    """Where a minimisation has come to.

    Parameters
    ----------
    parameters : (n,) array
    losses : (n_iterations + 1,) array
        The loss at the start and after each iteration.
    inverse_hessian : (n, n) array, optional
        The optimiser's estimate; the unit matrix if there is none yet.
    ended : str
        Why it ended; empty while it goes on.
    converged : bool
        Whether it ended because nothing was left to gain.
    """

    parameters: FloatArray
    losses: FloatArray
    inverse_hessian: FloatArray | None = None
    ended: str = ""
    converged: bool = False

    @property
    def iterations(self) -> int:
        """Iterations done."""
        return len(self.losses) - 1


def start(objective: Objective, parameters: FloatArray, inverse_hessian: FloatArray | None = None) -> Minimisation:
    """State before the first iteration.

    Raises
    ------
    RefusedError
        If the loss is not a number.
    """
    loss, _ = objective(parameters)
    _check_finite(loss, 0)
    return Minimisation(parameters, np.array([loss]), inverse_hessian)


def advance(
    objective: Objective,
    state: Minimisation,
    *,
    iterations: int,
    max_iterations: int,
    tolerance: float,
    on_iteration: Callable[[int, FloatArray, float], None] | None = None,
) -> Minimisation:
    """Minimise for a round of some iterations.

    Parameters
    ----------
    objective : callable
        From parameters to the loss and its gradient.
    state : Minimisation
    iterations : int
        Of this round.
    max_iterations : int
        Of all rounds; then it ends.
    tolerance : float
        It ends when the last 50 iterations lowered the loss by less than this fraction.
    on_iteration : callable, optional
        Called with (iterations done, parameters, loss) after each iteration.

    Returns
    -------
    Minimisation
        Depends on nothing but the arguments: rounds that are repeated give the same bits.

    Raises
    ------
    RefusedError
        If the loss is not a number after an iteration.

    Examples
    --------
    >>> bowl = lambda x: (float(x @ x), 2 * x)
    >>> done = advance(bowl, start(bowl, np.array([3.0, 4.0])), iterations=9, max_iterations=9, tolerance=1e-3)
    >>> bool(done.losses[0] == 25.0), bool(done.losses[-1] < 1e-20), done.converged
    (True, True, True)
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped,unused-ignore]

    losses = list(state.losses)

    def note(intermediate_result: Any) -> None:
        loss = float(intermediate_result.fun)
        _check_finite(loss, len(losses))
        losses.append(loss)
        if on_iteration is not None:
            on_iteration(len(losses) - 1, intermediate_result.x, loss)
        if _stalled(losses, tolerance):
            raise StopIteration

    # One thread: the sums of a threaded matrix product depend on how many there are.
    with threadpool_limits(1, user_api="blas"):
        found = minimize(
            objective,
            state.parameters,
            jac=True,
            method="BFGS",
            callback=note,
            options={
                "maxiter": min(iterations, max_iterations - state.iterations),
                "hess_inv0": state.inverse_hessian,
                "gtol": 0.0,
            },
        )
    new = replace(state, parameters=found.x, losses=np.array(losses), inverse_hessian=_usable(found.hess_inv))
    done = new.iterations - state.iterations
    if _stalled(losses, tolerance):
        fraction = f"{tolerance:g} of the loss in {JUDGED_ITERATIONS} iterations"
        return replace(new, ended=f"converged: less than {fraction} to gain", converged=True)
    if found.status == _NO_LOWER or not found.jac.any():
        if (done == 0 and state.inverse_hessian is None) or not found.jac.any():
            return replace(new, ended="converged: no step lowers the loss any more", converged=True)
        return replace(new, inverse_hessian=None)
    if new.iterations >= max_iterations:
        return replace(new, ended=f"not converged: {max_iterations} iterations (max_iterations) are done")
    return new


_NO_LOWER = 2  # scipy's status of a line search that found nothing


def _stalled(losses: list[float], tolerance: float) -> bool:
    if len(losses) <= JUDGED_ITERATIONS:
        return False
    before = losses[-1 - JUDGED_ITERATIONS]
    return before - losses[-1] < tolerance * before


def _usable(inverse_hessian: FloatArray) -> FloatArray | None:
    """The estimate made symmetric; None (begin anew) if rounding has made it indefinite."""
    symmetric = np.asarray(inverse_hessian, dtype=np.float64)
    symmetric = 0.5 * (symmetric + symmetric.T)
    try:
        np.linalg.cholesky(symmetric)
    except np.linalg.LinAlgError:
        return None
    return symmetric


def _check_finite(loss: float, iteration: int) -> None:
    if not np.isfinite(loss):
        raise RefusedError(
            f"the loss is {loss} at iteration {iteration}: the training diverged; check the labels for absurd values "
            "and the frames for atoms on top of each other."
        )
