from __future__ import annotations

import numpy as np
import pytest

from lipsdb.analysis.fit_window import choose_lags, select_fit_window, window_slope
from lipsdb.errors import BadInputError

TIMES = np.geomspace(0.01, 100.0, 60)


def test_ballistic_then_caged_then_diffusive_starts_after_the_cage() -> None:
    ballistic_to_plateau = 0.5 * TIMES**2 / (TIMES**2 + 0.1**2)  # crosses slope 1 at 0.1 ps on the way
    msd = ballistic_to_plateau + 6 * 0.3 * TIMES
    window = select_fit_window(TIMES, msd)
    assert window.found
    assert window.fickian
    # 1.8 t / (0.5 + 1.8 t) reaches 0.85 at 1.6 ps; over [t, 3t] somewhat before.
    assert 0.5 < window.start_ps < 1.7
    assert window.stop_ps == TIMES[-1]


@pytest.mark.parametrize("exponent", [0.5, 1.3, 2.0])
def test_other_power_laws_are_not_fickian_and_take_the_default_window(exponent: float) -> None:
    window = select_fit_window(TIMES, TIMES**exponent)
    assert not window.found
    assert not window.fickian
    assert window.slope == pytest.approx(exponent)
    assert window.start_ps >= 0.2 * TIMES[-1]


def test_crossing_slope_one_on_the_way_to_a_plateau_is_not_a_window() -> None:
    assert not select_fit_window(TIMES, 0.5 * TIMES**2 / (TIMES**2 + 0.1)).found


def test_a_start_that_is_asked_for_is_taken_and_judged() -> None:
    caged = 5.0 + TIMES
    window = select_fit_window(TIMES, caged, start_ps=1.0)
    assert window.start_ps == TIMES[np.searchsorted(TIMES, 1.0)]
    assert not window.found
    with pytest.raises(BadInputError, match="expected a time above 0 that leaves three lags"):
        select_fit_window(TIMES, caged, start_ps=99.0)


def test_an_msd_of_zero_has_slope_zero() -> None:
    assert window_slope([1.0, 2.0], [0.0, 0.0]) == 0.0


def test_lags_are_distinct_increasing_and_end_at_half_the_trajectory() -> None:
    lags = choose_lags(2001)
    assert lags[0] == 1
    assert lags[-1] == 1000
    assert (np.diff(lags) > 0).all()
    assert 30 <= lags.size <= 50


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(BadInputError, match="at least 5 lags and a fraction"):
        choose_lags(100, longest_fraction=1.5)
    with pytest.raises(BadInputError, match="longest lag is 2 frames"):
        choose_lags(21, longest_fraction=0.1)
