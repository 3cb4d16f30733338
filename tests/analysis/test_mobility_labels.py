from __future__ import annotations

import numpy as np
import pytest

from lipsdb.analysis.mobility_labels import mobility_labels
from lipsdb.errors import BadInputError


def test_labels_by_threshold_and_by_quantiles() -> None:
    displacement = np.array([0.1, 2.0, 3.0, 2.5, 1.0])
    assert mobility_labels(displacement, threshold=2.0).values.tolist() == [0, 1, 1, 1, 0]
    ends = mobility_labels(displacement, quantiles=(0.25, 0.75))
    assert ends.values.tolist() == [0, -1, 1, 1, -1]
    assert (ends.immobile_below, ends.hopping_from) == (1.0, 2.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "expected one of the two"),
        ({"threshold": 1.0, "quantiles": (0.1, 0.9)}, "expected one of the two"),
        ({"quantiles": (0.9, 0.1)}, "0 < lower <= upper < 1"),
        ({"threshold": 9.0}, "a class has no sample; D_cum goes from 0.5 to 3 Å"),
    ],
)
def test_bad_thresholds_are_refused(options: dict, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        mobility_labels([0.5, 1.0, 3.0], **options)
