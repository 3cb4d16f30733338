"""Values of table cells and how they are written: numbers rounded by their uncertainty, ranges, lists."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from lipsdb.queries.published import PublishedValue

Style = Literal["text", "latex"]

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_LATEX_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "±": r"$\pm$",
        "×": r"$\times$",
        "σ": r"$\sigma$",
        "χ": r"$\chi$",
        "µ": r"$\mu$",
        "Å": r"\AA{}",
        "²": r"$^2$",
        "³": r"$^3$",
        "β": r"$\beta$",
        "γ": r"$\gamma$",
        "·": r"$\cdot$",
        "–": "--",
        "—": "---",
        "…": r"\ldots{}",
        "−": "$-$",
    }
)


@dataclass(frozen=True)
class Measured:
    """A value with its standard deviation (None: none is known)."""

    value: float
    std: float | None = None


@dataclass(frozen=True)
class Range:
    """An interval."""

    low: float
    high: float


def escape_latex(text: str) -> str:
    """Write text so that LaTeX prints it as it stands.

    Examples
    --------
    >>> print(escape_latex("50 % of a_b"))
    50 \\% of a\\_b
    """
    return text.translate(_LATEX_ESCAPES)


def format_number(value: float, digits: int = 3, style: Style = "text") -> str:
    """Write a number with so many significant digits, with a power of ten where it is small or large.

    Examples
    --------
    >>> format_number(7.4e-5, 2), format_number(0.29, 2), format_number(12345.678)
    ('7.4×10⁻⁵', '0.29', '12346')
    """
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    power = int(exponent)
    if -2 <= power < 6:
        text = f"{value:.{max(digits - 1 - power, 0)}f}"
        return text.replace("-", "$-$") if style == "latex" else text
    if style == "latex":
        return rf"${mantissa} \times 10^{{{power}}}$"
    return f"{mantissa}×10{str(power).translate(_SUPERSCRIPTS)}"


def format_measured(value: float, std: float | None, style: Style = "text") -> str:
    """Write a value with its uncertainty: two significant digits of the uncertainty, the value to the same decimal.

    Examples
    --------
    >>> format_measured(0.28641, 0.01234), format_measured(4.123e-5, 3.1e-6)
    ('0.286 ± 0.012', '(4.12 ± 0.31)×10⁻⁵')
    """
    if std is None or std == 0 or not (math.isfinite(value) and math.isfinite(std)):
        return format_number(value, 3, style)
    from uncertainties import ufloat

    largest = max(abs(value), std)
    notation = "" if 1e-2 <= largest < 1e6 else "e"
    if style == "latex":
        return f"${ufloat(value, std):.2u{notation}L}$"
    return f"{ufloat(value, std):.2u{notation}P}".replace("±", " ± ")


def format_range(low: float, high: float, style: Style = "text") -> str:
    """Write an interval, each end with two significant digits; with one power of ten if both have it.

    Examples
    --------
    >>> format_range(8.1e-5, 1.72e-4), format_range(1.1e-5, 1.7e-5), format_range(0.1, 0.25)
    ('8.1×10⁻⁵ – 1.7×10⁻⁴', '(1.1 – 1.7)×10⁻⁵', '0.10 – 0.25')
    """
    texts = [format_number(end, 2, style) for end in (low, high)]
    if style == "text":
        mantissas, powers = zip(*(text.partition("×")[::2] for text in texts), strict=True)
        if powers[0] and powers[0] == powers[1]:
            return f"({mantissas[0]} – {mantissas[1]})×{powers[0]}"
    return (" -- " if style == "latex" else " – ").join(texts)


def format_published(found: PublishedValue, style: Style = "text") -> str:
    """Write a published value with its method; 'figure only' stands for one that is not printed as a number."""
    method = escape_latex(found.method) if style == "latex" else found.method
    value = "in a figure" if found.value is None else _as_printed(found.value, style)
    return f"{value} ({method})"


def _as_printed(value: float, style: Style) -> str:
    digits = len(f"{value:.15g}".partition("e")[0].replace(".", "").replace("-", "").strip("0"))
    return format_number(value, max(digits, 2), style)


def format_cell(value: Any, style: Style = "text", newline: str = "; ") -> str:
    """Write the value of any cell.

    Parameters
    ----------
    value : str, bool, int, float, Measured, Range, PublishedValue, None, or a tuple of these
    style : 'text' or 'latex'
    newline : str
        What stands between the parts of a tuple.
    """
    plain: Callable[[str], str] = escape_latex if style == "latex" else str
    if value is None or value == ():
        return plain("—")
    if isinstance(value, tuple):
        between = ", " if all(isinstance(part, str) for part in value) else newline
        return between.join(format_cell(part, style) for part in value)
    if isinstance(value, Measured):
        return format_measured(value.value, value.std, style)
    if isinstance(value, Range):
        return format_range(value.low, value.high, style)
    if isinstance(value, PublishedValue):
        return format_published(value, style)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return format_number(value, 3, style)
    return plain(str(value))
