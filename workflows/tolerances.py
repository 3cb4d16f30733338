"""How far two answers to the same question may be apart, by what made them; each number with its reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lipsdb.workflows.agreement import ROUNDING, Field, Regimes, Tolerance, largest
from lipsdb.workflows.performers import OF_RUNS

SAMPLING = 0.2  # of the stated standard deviation
SPREAD = 5.0  # combined standard deviations between independent samples
_BLOCKS = 5


def _times_largest(factor: float) -> Callable[[Field], float]:
    return lambda field: factor * largest(field)


def _absolute(allowed: float) -> Callable[[Field], float]:
    return lambda field: allowed


def _per_atom(allowed: float) -> Callable[[Field], float]:
    return lambda field: allowed * field.around_before["n_atoms"]


def _times_std(factor: float, name: str) -> Callable[[Field], float]:
    return lambda field: factor * float(field.around_before[name])


def _times_both_std(name: str) -> Callable[[Field], float]:
    return lambda field: SPREAD * math.hypot(float(field.around_before[name]), float(field.around_after[name]))


def _times_half_width(factor: float, name: str) -> Callable[[Field], float]:
    def allowed(field: Field) -> float:
        low, high = field.around_before[name]
        return factor * float(high - low) / 2

    return allowed


def _slope_times_window(field: Field) -> float:
    """What the line's end moves by if D does: 6 ΔD t, Å² (1 cm²/s = 1e4 Å²/ps)."""
    return 6 * SAMPLING * 1e4 * float(field.around_before["D_std_cm2_s"] * field.around_before["fit_stop_ps"])


def standard_error(series: Any) -> float:
    """Standard error of the mean of a correlated series, from the means of five blocks.

    Examples
    --------
    >>> round(standard_error([0.0, 2.0] * 50), 3), round(standard_error([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]), 3)
    (0.0, 0.707)
    """
    values = np.asarray(series, dtype=float)
    if len(values) < _BLOCKS:
        return float(np.ptp(values)) if len(values) else 0.0
    means = [block.mean() for block in np.array_split(values, _BLOCKS)]
    return float(np.std(means, ddof=1) / math.sqrt(_BLOCKS))


def _of_series(*path: str, least: float = 0.0) -> Callable[[Field], float]:
    """Allowed difference of a mean, from the series that it is the mean of."""

    def allowed(field: Field) -> float:
        errors = []
        for around in (field.around_before, field.around_after):
            series: Any = around
            for name in path:
                series = series[name]
            errors.append(standard_error(series))
        return SPREAD * math.hypot(*errors) + max(least, ROUNDING * largest(field))

    return allowed


def _difference_of_means(field: Field) -> float:
    return abs(float(np.mean(field.after)) - float(np.mean(field.before)))


def _skip(reason: str, *fields: str) -> Tolerance:
    return Tolerance(fields, None, "not compared", reason)


_POSTERIOR = (
    "sampled by kinisi with a seed: repeats exactly on one machine, to about 0.1 standard deviations on another, "
    "where rounding makes the sampler accept other steps"
)
_DIFFUSION = (
    Tolerance(("D_cm2_s",), _times_std(SAMPLING, "D_std_cm2_s"), f"{SAMPLING} × D_std_cm2_s", _POSTERIOR),
    Tolerance(("sigma_S_cm",), _times_std(SAMPLING, "sigma_std_S_cm"), f"{SAMPLING} × sigma_std_S_cm", _POSTERIOR),
    Tolerance(("D_std_cm2_s", "sigma_std_S_cm"), _times_largest(SAMPLING), f"{SAMPLING} of itself", _POSTERIOR),
    Tolerance(
        ("D_interval_95_cm2_s",),
        _times_std(3 * SAMPLING, "D_std_cm2_s"),
        f"{3 * SAMPLING:g} × D_std_cm2_s",
        "the ends of a sampled interval scatter three times as much as its mean",
    ),
    Tolerance(
        ("intercept_A2",), _slope_times_window, f"6 × {SAMPLING} × D_std × end of the fit", "the line turns as D does"
    ),
)
_INDEPENDENT = "two independent samples differ by their standard deviations"
_DIFFUSION_RESAMPLED = (
    Tolerance(
        ("D_cm2_s",), _times_both_std("D_std_cm2_s"), f"{SPREAD:g} combined standard deviations", _INDEPENDENT
    ),
    Tolerance(
        ("sigma_S_cm",), _times_both_std("sigma_std_S_cm"), f"{SPREAD:g} combined standard deviations", _INDEPENDENT
    ),
    _skip(
        "from another trajectory; D and its standard deviation say what it means",
        "*_std_*", "D_interval_95_cm2_s", "number_density_A3", "conditions.volume_A3", "fit_*", "intercept_A2",
        "window_found", "loglog_slope", "fickian", "method", "framework_msd_A2", "msd.*",
    ),
)  # fmt: skip
_COORDINATION_RESAMPLED = (
    Tolerance(
        ("mean",),
        _of_series("mean_by_frame", least=0.02),
        f"{SPREAD:g} combined standard errors (five blocks), at least 0.02",
        _INDEPENDENT,
    ),
    _skip(
        "from another trajectory; the mean says what it means", "fractions*", "mean_by_frame", "conditions.volume_A3"
    ),
)
_DESCRIPTOR: Regimes = {
    "same": (
        Tolerance(
            ("*histogram*",),
            _times_largest(0.01),
            "1 % of the largest value",
            "values at the edge of a bin change sides",
        ),
        Tolerance(("*",), lambda field: 1e-4 * largest(field), "1e-4 of the largest value", "single precision inside"),
    ),
    "resampled": (_skip("from another trajectory; compare the two in one table", "*"),),
}
_PROPAGATED = "the fit propagates what its points may be off by"
_ARRHENIUS_NEAR = (
    Tolerance(("Ea_eV",), _times_std(2 * SAMPLING, "Ea_std_eV"), f"{2 * SAMPLING} × Ea_std_eV", _PROPAGATED),
    Tolerance(("ln_D0_cm2_s",), _times_std(2 * SAMPLING, "ln_D0_std"), f"{2 * SAMPLING} × ln_D0_std", _PROPAGATED),
    *(
        Tolerance((name,), _times_half_width(2 * SAMPLING, width), f"{2 * SAMPLING} × half of {width}", _PROPAGATED)
        for name, width in (
            ("D_target_cm2_s", "D_target_68_cm2_s"),
            ("sigma_target_S_cm", "sigma_target_68_S_cm"),
        )
    ),
    *(
        Tolerance((f"points.*.{name}",), _times_std(SAMPLING, std), f"{SAMPLING} × {std}", _POSTERIOR)
        for name, std in (("D_cm2_s", "D_std_cm2_s"), ("sigma_S_cm", "sigma_std_S_cm"))
    ),
    Tolerance(("*_std*",), _times_largest(SAMPLING), f"{SAMPLING} of itself", _POSTERIOR),
    _skip(
        "follows from the points and their standard deviations",
        "covariance", "chi2", "birge_ratio", "*_68_*", "*_95_*", "points.*.D_between_replicas_cm2_s",
    ),
)  # fmt: skip
_ARRHENIUS_RESAMPLED = (
    Tolerance(("Ea_eV",), _times_both_std("Ea_std_eV"), f"{SPREAD:g} combined standard deviations", _INDEPENDENT),
    Tolerance(("ln_D0_cm2_s",), _times_both_std("ln_D0_std"), f"{SPREAD:g} combined standard deviations", _INDEPENDENT),
    _skip(
        "from other trajectories; Ea, ln D0 and their standard deviations say what they mean",
        "points*", "*_std*", "covariance", "chi2", "degrees_of_freedom", "birge_ratio", "excluded*", "*target_cm2_s",
        "*target_S_cm", "*_68_*", "*_95_*", "fickian",
    ),
)  # fmt: skip

_CHAOS = (
    "trajectories from the same start diverge with the first difference in rounding (other processor, threads or "
    "versions): means over the run are compared"
)
_MEANS = (
    *(
        Tolerance(
            (mean,), _of_series("thermo", series), f"{SPREAD:g} combined standard errors (five blocks)", _CHAOS
        )
        for mean, series in (("mean_temperature_K", "temperature"), ("mean_pressure_bar", "pressure"))
    ),
    Tolerance(
        ("thermo.potential_energy",),
        _of_series("thermo", "potential_energy"),
        f"mean: {SPREAD:g} combined standard errors (five blocks)",
        _CHAOS,
        _difference_of_means,
    ),
)  # fmt: skip
_INSTANTANEOUS = ("thermo.*", "trajectory.*", "topology.*", "restart.*")
_SAME_STEPS = (
    Tolerance(
        ("trajectory.positions", "trajectory.cell"), _absolute(1e-4), "1e-4 Å", "single precision of large numbers"
    ),
    _skip("files carry their writer's version; positions and thermo output say the same", "topology.*", "restart.*"),
    Tolerance(("extrapolation.max_grades",), _times_largest(1e-3), "0.1 % of the largest", "follow the positions"),
    _skip("frames whose grades are compared above", "extrapolation.selected.*"),
    _skip("of atoms that symmetry makes equal, rounding chooses one", "extrapolation.atoms", "extrapolation.stopped"),
)
_GRADES = _skip("of other configurations", "extrapolation.*")
_RUN_DIVERGED = (
    *_MEANS,
    _GRADES,
    Tolerance(("mean_volume_A3", "mean_density_g_cm3"), _times_largest(0.01), "1 %", "the box fluctuates in NPT"),
    _skip("instantaneous, or follows from the means", *_INSTANTANEOUS, "mean_stress_GPa"),
)
_RUN_ENDED_EARLY = (_skip("ended when an atom extrapolated, which another trajectory does at another step", "*"),)
_RUN_RESAMPLED = (
    _MEANS[0],
    _GRADES,
    Tolerance(
        ("thermo.potential_energy",),
        _per_atom(0.02),
        "mean: 20 meV/atom",
        "two trainings with the same settings differ by their energy error",
        _difference_of_means,
    ),
    Tolerance(("mean_volume_A3", "mean_density_g_cm3"), _times_largest(0.03), "3 %", "another potential"),
    _skip("another potential has another equilibrium volume, hence pressure", "mean_pressure_bar", "mean_stress_GPa"),
    _skip("instantaneous", *_INSTANTANEOUS),
)

_TRAINED = "training diverges with the first difference in rounding, to a potential that is as good"
_SAME_TRAINING = (
    _skip(
        "equal weights in other bytes; predictions for held-out labels stand for them",
        "model.*",
        "files*",
        "active_set.*",
    ),
)
_POTENTIAL_RETRAINED = (
    Tolerance(("errors.*.force_*",), _times_largest(0.25), "25 % of the error on held-out labels", _TRAINED),
    Tolerance(
        ("errors.*.energy_mae*", "errors.*.energy_rmse*"),
        lambda field: 0.5 * largest(field) + 2.0,
        "50 % of the error on held-out labels and 2 meV/atom",
        _TRAINED,
    ),
    _skip(
        "of another potential; its errors on held-out labels say how good it is",
        "errors.*.energy_bias*", "errors.*.virial*", "errors.*.stress*", "offsets.*", "learning_curve.*", "parity.*",
        "model.*", "files*", "active_set.*",
    ),
)  # fmt: skip
_TRAINING: Regimes = {"same": _SAME_TRAINING, "diverged": _POTENTIAL_RETRAINED, "resampled": _POTENTIAL_RETRAINED}
_CLASSIFIED = "where the fit stops, and samples at the plane or at the threshold, which rounding puts on either side"
_CLASSIFIER: Regimes = {
    "same": (
        Tolerance(
            ("*n_samples", "n_left_out"),
            lambda field: 1 + 1e-3 * largest(field),
            "0.1 % and one sample",
            _CLASSIFIED,
        ),
        Tolerance(("mean", "std", "weights", "bias"), _times_largest(1e-3), "0.1 % of the largest", _CLASSIFIED),
        Tolerance(("*_A",), _times_largest(1e-4), "1e-4 of itself", "single precision inside"),
        Tolerance(
            ("train.*", "test.*", "grid.*.performance.*", "runs.*.hopping_fraction"),
            _absolute(0.01),
            "1 % of the samples",
            _CLASSIFIED,
        ),
    ),
    "resampled": (_skip("trained on other trajectories; compare the two in one table", "*"),),
}
_STOPPED = "where the relaxations of atoms and cells stop"
_OF_ANOTHER = "of another potential or structure; compare the two in one table"
_ELASTIC: Regimes = {
    "same": (
        Tolerance(("summary.*.[BGE]_GPa", "summary.*.nu"), _times_largest(0.01), "1 %", _STOPPED),
        Tolerance(("stiffness*", "*_voigt_reuss_GPa"), _times_largest(0.01), "1 % of the largest", _STOPPED),
        Tolerance(
            ("summary.*.C??_GPa", "summary.*.smallest_eigenvalue_GPa"),
            lambda field: 0.01 * largest(field) + 0.1,
            "1 % and 0.1 GPa",
            _STOPPED,
        ),
        Tolerance(("summary.*.[abc]_A", "reference_*_A"), _absolute(0.02), "0.02 Å", _STOPPED),
        Tolerance(("energies_eV",), lambda field: 1e-6 * largest(field), "1e-6 of itself", "single precision inside"),
        _skip(
            "follows from where the relaxations stop; the constants say what it means",
            "summary.*_std_*", "summary.*.reference_stress_GPa", "covariance_GPa2", "fit_residual_GPa",
            "universal_anisotropy", "stresses_GPa", "reference_stress_GPa", "max_forces_eV_A",
        ),
    ),
    "resampled": (_skip(_OF_ANOTHER, "*"),),
}  # fmt: skip
_NETWORK = "the network's single precision, about 1e-7 of a sum over atoms"
_EVALUATED = (
    Tolerance(("errors.*energy*", "offsets.*energy*"), _absolute(1e-3), "0.001 meV/atom", _NETWORK),
    Tolerance(("errors.*force*",), _absolute(1e-2), "0.01 meV/Å", _NETWORK),
    Tolerance(("errors.*virial*",), _absolute(1e-2), "0.01 meV/atom", _NETWORK),
    Tolerance(("errors.*stress*",), _absolute(1e-4), "1e-4 GPa", _NETWORK),
)
_SCF = "where the SCF cycle stops; ten times what a repeated label of Li12P4S16 was off by in forces (0.2 meV/Å)"
_DFT = (
    Tolerance(("energy_eV",), _per_atom(1e-5), "0.01 meV/atom", _SCF),
    Tolerance(("forces",), _absolute(2e-3), "2 meV/Å", _SCF),
    Tolerance(("virial",), _per_atom(5e-3), "5 meV/atom", _SCF),
)
_RELAXED = (
    Tolerance(("positions", "cell"), _absolute(0.02), "0.02 Å", "where the relaxation stops"),
    Tolerance(("volume_A3", "density_g_cm3"), _times_largest(0.005), "0.5 %", "where the relaxation stops"),
)
_FRAME_OF_ANOTHER = (
    _skip("a frame of another trajectory", "geometry", "positions", "energy_eV", "forces", "virial", "cell"),
)
_BY_DFT: Regimes = {"same": _DFT, "resampled": _FRAME_OF_ANOTHER}
_AB_INITIO: Regimes = {"same": _SAME_STEPS, "diverged": _RUN_DIVERGED}

# By what made the document, then by how its inputs compare; what has no entry for that counts as 'same'.
TOLERANCES: dict[str, Regimes] = {
    "build_structure": {},
    "relax_by_cp2k": {"same": _RELAXED},
    "relax_by_vasp": {"same": _RELAXED},
    "label_by_cp2k": _BY_DFT,
    "label_by_vasp": _BY_DFT,
    "run_aimd_by_cp2k": _AB_INITIO,
    "run_aimd_by_vasp": _AB_INITIO,
    "freeze_dataset": {},
    "train_potential": _TRAINING,
    "train_deepmd": _TRAINING,
    "train_softness_classifier": _CLASSIFIER,
    "run_md": {"same": _SAME_STEPS, "diverged": _RUN_DIVERGED, "resampled": _RUN_RESAMPLED},
    "measure_diffusion": {"same": _DIFFUSION, "resampled": _DIFFUSION_RESAMPLED},
    "measure_coordination": {"resampled": _COORDINATION_RESAMPLED},
    "strain_structure": _ELASTIC,
    "fit_arrhenius_line": {"near": _ARRHENIUS_NEAR, "resampled": _ARRHENIUS_RESAMPLED},
    "choose_potential": {
        "same": (
            _skip("measured with a clock", "rows.*.time_us_per_atom", "rows.*.training_core_seconds"),
            _skip("follows from what the clock says", "rows.*.chosen", "chosen_id", "chosen_settings.*", "reason"),
        ),
        "resampled": (_skip("of other potentials", "*"),),
    },
    "measure_prediction_errors": {"same": _EVALUATED, "resampled": _POTENTIAL_RETRAINED},
}


def tolerances_for(document: Mapping[str, Any]) -> Regimes:
    """The tolerances for a stored document.

    Examples
    --------
    >>> document = {"_id": "label-1", "made_by": {"activity": "run_aimd_by_cp2k"}}
    >>> [tolerance.text for tolerance in tolerances_for(document)["same"]]
    ['0.01 meV/atom', '2 meV/Å', '5 meV/atom']
    """
    is_label = document["_id"].startswith("label-")  # also those that come with a run
    if is_label:
        return _BY_DFT
    activity = document["made_by"]["activity"]
    if ((document.get("answer") or {}).get("extrapolation") or {}).get("stopped") is not None:
        return {"same": _SAME_STEPS, "diverged": _RUN_ENDED_EARLY, "resampled": _RUN_ENDED_EARLY}
    return TOLERANCES.get(activity, _DESCRIPTOR) if activity in OF_RUNS else TOLERANCES[activity]
