"""Rule on units: numbers of one document that follow from each other do so in the units that their names state."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

EXACT = 1e-6  # relative: the same formula with the same constants
DENSITY = 0.02  # relative: mean of m/V against m/mean of V, and tables of atomic masses
VOLUME = 1e-4  # relative: a cell that passed through a program's input and output
TEMPERATURE = 10.0  # factor between mean and target: short runs of few atoms miss it by a factor of two or three
PRESSURE_bar = 1e-3  # absolute
LEAST_VOLUME_A3 = 1.0  # an atom: a third of diamond's under 1 TPa; nm³ would be 0.02

_AMU_PER_A3_IN_G_PER_CM3 = 1.66053906660  # atomic mass constant in kg (CODATA 2018) × 1e27
_ELEMENT = re.compile(r"([A-Z][a-z]?)(\d*)")


def value(document: Mapping[str, Any], path: str) -> Any:
    """A field by its path; None if it is absent."""
    found: Any = document
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def number(document: Mapping[str, Any], path: str) -> float | None:
    """A number by its path: None if it is absent, NaN if it is something else."""
    found = value(document, path)
    if found is None:
        return None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else math.nan


def numbers(document: Mapping[str, Any], *paths: str) -> tuple[float, ...] | None:
    """Several numbers; None if one of them is absent."""
    found = [number(document, path) for path in paths]
    return None if any(one is None for one in found) else tuple(one for one in found if one is not None)


def mass_amu(formula: Any) -> float | None:
    """Mass of a composition such as Li24P8S32, amu; None if it is no formula.

    Examples
    --------
    >>> round(mass_amu("Li3PS4"), 2)
    180.03
    """
    from ase.data import atomic_masses, atomic_numbers

    counts = _counts(formula)
    if counts is None or any(element not in atomic_numbers for element in counts):
        return None
    return float(sum(n * atomic_masses[atomic_numbers[element]] for element, n in counts.items()))


def _counts(formula: Any) -> dict[str, int] | None:
    if not isinstance(formula, str) or not formula or _ELEMENT.sub("", formula):
        return None
    counts: dict[str, int] = {}
    for element, n in _ELEMENT.findall(formula):
        counts[element] = counts.get(element, 0) + int(n or 1)
    return counts


def _differ(found: float, expected: float, relative: float) -> bool:
    """Whether two numbers differ, or one of them is none."""
    return not abs(found - expected) <= relative * abs(expected)


def _density(what: str, density: float, volume: float, mass: float | None) -> Iterator[str]:
    if mass is None:
        return
    expected = mass / volume * _AMU_PER_A3_IN_G_PER_CM3 if volume > 0 else math.nan
    if _differ(density, expected, DENSITY):
        yield (
            f"{what} {density:.6g} g/cm³, but {mass:.6g} amu in {volume:.6g} Å³ are {expected:.6g} g/cm³ "
            f"({DENSITY:.0%} are allowed)"
        )


def faults_of_structure(structure: Mapping[str, Any]) -> Iterator[str]:
    """Density against mass and volume, and the volume of an atom."""
    sizes = numbers(structure, "answer.density_g_cm3", "answer.volume_A3", "answer.n_atoms")
    if sizes is not None:
        density, volume, n_atoms = sizes
        yield from _density("density", density, volume, mass_amu(value(structure, "answer.formula")))
        yield from _volume_of_atom(volume, n_atoms)


def _volume_of_atom(volume: float, n_atoms: float) -> Iterator[str]:
    own = volume / n_atoms if n_atoms > 0 else math.nan
    if not own >= LEAST_VOLUME_A3:
        yield f"{own:.3g} Å³ an atom ({volume:.6g} Å³, {n_atoms:g} atoms); at least {LEAST_VOLUME_A3:g} is expected"


def faults_of_run(run: Mapping[str, Any], structure: Mapping[str, Any] | None) -> Iterator[str]:
    """Temperature, pressure, volume, density and times of a run against each other and against what was asked.

    Parameters
    ----------
    run : mapping
        The document, arrays in their stored form.
    structure : mapping or None
        Composition and volume of its structure, if it is in the database.
    """
    ensemble = value(run, "asked.settings.ensemble")
    temperatures = numbers(run, "answer.mean_temperature_K", "asked.settings.temperature_K")
    if temperatures is not None and ensemble in {"nvt", "npt"}:
        mean, target = temperatures
        if not target / TEMPERATURE <= mean <= target * TEMPERATURE:
            yield f"mean temperature {mean:.6g} K at a target of {target:.6g} K; a factor of {TEMPERATURE:g} is allowed"
    yield from _pressure(run)
    sizes = numbers(run, "answer.mean_density_g_cm3", "answer.mean_volume_A3", "answer.n_atoms")
    if sizes is not None:
        density, volume, n_atoms = sizes
        yield from _volume_of_atom(volume, n_atoms)
        if structure is not None:
            yield from _density("mean density", density, volume, mass_amu(value(structure, "answer.formula")))
            own = number(structure, "answer.volume_A3")
            if own is not None and ensemble in {"nvt", "nve"} and _differ(volume, own, VOLUME):
                yield f"mean volume {volume:.8g} Å³ at constant volume, but the structure has {own:.8g} Å³"
    yield from _times(run)
    yield from _columns(run)


def _pressure(run: Mapping[str, Any]) -> Iterator[str]:
    """Pressure in bar is minus a third of the stress' trace in GPa, positive under tension: 1 GPa = 10⁴ bar."""
    mean, stress = number(run, "answer.mean_pressure_bar"), value(run, "answer.mean_stress_GPa")
    if mean is None or stress is None:
        return
    array = array_of(stress)
    trace = float(np.trace(array)) if array is not None and array.shape == (3, 3) else math.nan
    expected = -trace / 3 * 1e4
    if not abs(mean - expected) <= PRESSURE_bar + EXACT * abs(expected):
        yield f"mean pressure {mean:.8g} bar, but the mean stress (tension positive) makes {expected:.8g} bar"


def array_of(stored: Any) -> np.ndarray | None:
    """A stored array; None if it is damaged, which the check of contents tells."""
    from zstandard import ZstdError

    from lipsdb.errors import RefusedError
    from lipsdb.provenance.canonical import decode_array, is_stored_array

    try:
        return decode_array(stored) if is_stored_array(stored) else np.asarray(stored, np.float64)
    except (RefusedError, ZstdError, TypeError, ValueError, KeyError):
        return None


def _times(run: Mapping[str, Any]) -> Iterator[str]:
    """Frames lie dump_interval steps of timestep_fs apart: 1 ps = 1000 fs."""
    times = numbers(
        run, "answer.frame_interval_ps", "asked.settings.dump_interval", "asked.settings.timestep_fs"
    )  # fmt: skip
    if times is None:
        return
    interval, steps, timestep = times
    if _differ(interval, steps * timestep * 1e-3, EXACT):
        yield f"frames {interval:.8g} ps apart, but they are {steps:g} steps of {timestep:g} fs"


def _columns(run: Mapping[str, Any]) -> Iterator[str]:
    from lipsdb.md.thermo import COLUMNS

    expected, units = dict(COLUMNS.values()), value(run, "answer.thermo_units")
    for name, unit in units.items() if isinstance(units, Mapping) else ():
        if name in expected and unit != expected[name]:
            yield f"column {name} in {unit!r}; {expected[name]} is expected"


def faults_of_property(property_: Mapping[str, Any]) -> Iterator[str]:
    """Nernst–Einstein conductivities, number densities, and the line of an Arrhenius fit."""
    charge = number(property_, "answer.charge_e")
    answer = value(property_, "answer")
    answer = answer if isinstance(answer, Mapping) else {}
    species, temperature = value(property_, "answer.species"), number(property_, "answer.conditions.temperature_K")
    yield from _conductivity("", answer, charge, temperature)
    yield from _number_density(answer, species)
    listed = answer.get("points")
    points = [point for point in listed if isinstance(point, Mapping)] if isinstance(listed, list) else []
    for point in points:
        own = number(point, "temperature_K")
        yield from _conductivity(f"at {own:g} K " if own is not None else "", point, charge, own)
    yield from _line(property_, points, charge)


def _conductivity(
    where: str, answer: Mapping[str, Any], charge: float | None, temperature: float | None
) -> Iterator[str]:
    found = numbers(answer, "sigma_S_cm", "D_cm2_s", "number_density_A3")
    if found is None or charge is None or temperature is None:
        return
    sigma, diffusion, density = found
    expected = _nernst_einstein(diffusion, density, charge, temperature)
    if _differ(sigma, expected, EXACT):
        yield (
            f"{where}σ {sigma:.8g} S/cm, but Nernst–Einstein gives {expected:.8g} S/cm from D {diffusion:.8g} cm²/s, "
            f"{density:.8g} Å⁻³, charge {charge:g} and {temperature:g} K"
        )
    stds = numbers(answer, "sigma_std_S_cm", "D_std_cm2_s")
    if stds is not None and diffusion and _differ(stds[0] * diffusion, stds[1] * sigma, EXACT):
        yield (
            f"{where}σ {sigma:.8g} ± {stds[0]:.8g} S/cm, but D {diffusion:.8g} ± {stds[1]:.8g} cm²/s: "
            "their relative uncertainties differ"
        )


def _nernst_einstein(diffusion: float, density: float, charge: float, temperature: float) -> float:
    """σ in S/cm; NaN where the formula has none."""
    from lipsdb.analysis.conductivity import nernst_einstein
    from lipsdb.errors import BadInputError

    try:
        return nernst_einstein(diffusion, density, charge, temperature).conductivity
    except BadInputError:
        return math.nan


def _number_density(answer: Mapping[str, Any], species: Any) -> Iterator[str]:
    found = numbers(answer, "number_density_A3", "conditions.volume_A3")
    counts = _counts(value(answer, "conditions.formula"))
    if found is None or counts is None or not isinstance(species, str):
        return
    density, volume = found
    expected = counts.get(species, 0) / volume if volume > 0 else math.nan
    if _differ(density, expected, EXACT):
        yield (
            f"number density {density:.8g} Å⁻³, but {counts.get(species, 0)} {species} in {volume:.8g} Å³ are "
            f"{expected:.8g} Å⁻³"
        )


def _line(property_: Mapping[str, Any], points: list[Mapping[str, Any]], charge: float | None) -> Iterator[str]:
    """D at the target lies on the fitted line, σ follows from it, and the intervals lie about the medians."""
    from lipsdb.analysis.arrhenius import BOLTZMANN_EV_PER_K

    line = numbers(
        property_, "answer.D_target_cm2_s", "answer.ln_D0_cm2_s", "answer.Ea_eV", "answer.target_temperature_K"
    )
    if line is not None:
        diffusion, ln_prefactor, energy, target = line
        exponent = ln_prefactor - energy / (BOLTZMANN_EV_PER_K * target) if target > 0 else math.nan
        expected = math.exp(exponent) if exponent < 700 else math.inf
        if _differ(diffusion, expected, EXACT):
            yield (
                f"D {diffusion:.8g} cm²/s at {target:g} K, but ln D0 {ln_prefactor:.8g} and Ea {energy:.8g} eV make "
                f"{expected:.8g} cm²/s"
            )
        coldest = points[0] if points else {}  # its density is the nearest to that at the target
        density, sigma = number(coldest, "number_density_A3"), number(property_, "answer.sigma_target_S_cm")
        if density is not None and sigma is not None and charge is not None:
            made = _nernst_einstein(diffusion, density, charge, target)
            if _differ(sigma, made, EXACT):
                yield f"σ {sigma:.8g} S/cm at {target:g} K, but Nernst–Einstein gives {made:.8g} S/cm from D there"
    for median, interval in (
        ("D_target_cm2_s", "D_target_68_cm2_s"),
        ("sigma_target_S_cm", "sigma_target_68_S_cm"),
        ("sigma_target_S_cm", "sigma_target_95_S_cm"),
    ):
        middle, ends = number(property_, f"answer.{median}"), value(property_, f"answer.{interval}")
        if middle is None or not isinstance(ends, list) or len(ends) != 2:
            continue
        product = math.prod(number({"end": end}, "end") or math.nan for end in ends)
        if _differ(product, middle**2, 2 * EXACT):
            yield f"{median} {middle:.8g} is not the geometric mean of {interval} {ends}"
