from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsdb.queries.cells import (
    Measured,
    Range,
    escape_latex,
    format_cell,
    format_measured,
    format_number,
    format_range,
)


@pytest.mark.parametrize(
    ("value", "std", "expected"),
    [
        (0.28641, 0.01234, "0.286 ± 0.012"),
        (0.3, 0.0996, "0.30 ± 0.10"),
        (1.031e-4, 9.1e-6, "(1.031 ± 0.091)×10⁻⁴"),
        (9.9e-6, 2.3e-6, "(9.9 ± 2.3)×10⁻⁶"),
        (3.31, 0.24, "3.31 ± 0.24"),
        (599.6, 12.0, "600 ± 12"),
        (1e-6, 4e-6, "(1.0 ± 4.0)×10⁻⁶"),
        (-0.5, 0.12, "-0.50 ± 0.12"),
        (0.5, None, "0.500"),
        (0.5, 0.0, "0.500"),
    ],
)
def test_value_is_rounded_to_two_digits_of_its_uncertainty(value: float, std: float | None, expected: str) -> None:
    assert format_measured(value, std) == expected


@given(st.floats(1e-12, 1e8), st.floats(1e-4, 1.0))
def test_rounded_value_and_uncertainty_stay_close_to_the_given_ones(value: float, relative: float) -> None:
    text = format_measured(value, value * relative)
    body, _, power = text.partition("×10")
    power_of_ten = int(power.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-"))) if power else 0
    shown, std = (float(part) * 10.0**power_of_ten for part in body.strip("()").split(" ± "))
    assert abs(shown - value) <= 0.06 * value * relative
    assert std == pytest.approx(value * relative, rel=0.06)


def test_range_with_one_power_of_ten_has_it_once() -> None:
    assert format_range(1.2e-3, 5.1e-3) == "(1.2 – 5.1)×10⁻³"
    assert format_range(3.7e-3, 0.0108) == "3.7×10⁻³ – 0.011"
    assert format_range(1.2e-3, 5.1e-3, "latex") == r"$1.2 \times 10^{-3}$ -- $5.1 \times 10^{-3}$"


def test_small_negative_and_zero_numbers() -> None:
    assert format_number(0.0) == "0"
    assert format_number(-0.0879) == "-0.0879"
    assert format_number(-1.5, style="latex") == "$-$1.50"
    assert format_number(-2.5e-7, 2, "latex") == r"$-2.5 \times 10^{-7}$"


def test_missing_values_booleans_and_tuples() -> None:
    assert [format_cell(value) for value in (None, (), True, 3)] == ["—", "—", "yes", "3"]
    assert format_cell(("a", "b")) == "a, b"
    assert format_cell((Measured(1e-8), Range(1e-9, 1e-7)), newline="\n") == "1.00×10⁻⁸\n1.0×10⁻⁹ – 1.0×10⁻⁷"
    assert format_cell(None, "latex") == "---"


@given(st.text(alphabet="&%$#_{}~^\\ab±×σ²", max_size=20))
def test_escaped_text_leaves_no_special_character_bare(text: str) -> None:
    escaped = escape_latex(text)
    bare = escaped.replace(r"\$", "").replace(r"\{", "").replace(r"\}", "")
    assert bare.count("$") % 2 == 0
    assert bare.count("{") == bare.count("}")
    assert escaped.isascii()
