"""Transport: diffusion and conductivity of a run, and the Arrhenius fit over temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from lipsdb.documents.base import Input
from lipsdb.documents.property import PropertyAsked
from lipsdb.provenance.canonical import decoded
from lipsdb.provenance.machine import versions_of
from lipsdb.workflows.answering import Question, QuestionMaker, Workplace
from lipsdb.workflows.properties.of_run import Result, question_of_run
from lipsdb.workflows.runs import load_run


@dataclass
class DiffusionMaker(QuestionMaker):
    """Diffusion coefficient of one species in a run, and the conductivity that Nernst–Einstein gives.

    Parameters
    ----------
    species : str
        The moving element.
    framework : tuple of str
        Elements whose centre of mass is held at rest.
    charge_e : float
        Charge of the moving ion (e).
    fit_start_ps : float, optional
        Lag time from which the line is fitted (ps); found from the log-log slope if not given.
    seed : int
        Seed of the posterior sampling.
    """

    name: str = "diffusion"
    species: str = "Li"
    framework: tuple[str, ...] = ("P", "S")
    charge_e: float = 1.0
    fit_start_ps: float | None = None
    seed: int = 0

    def question(self, run: Question | dict[str, str]) -> Question:
        """Ask for D of this run."""
        parameters = {
            "species": self.species,
            "framework": list(self.framework),
            "charge_e": float(self.charge_e),
            "fit_start_ps": self.fit_start_ps,
            "seed": self.seed,
        }
        return question_of_run("diffusion", self.name, parameters, run)


@dataclass
class ArrheniusMaker(QuestionMaker):
    """Activation energy from D at several temperatures, replicas combined, and the conductivity extrapolated.

    Parameters
    ----------
    extrapolate_to_K : float
        Temperature at which D and σ are stated (K).
    """

    name: str = "arrhenius"
    extrapolate_to_K: float = 300.0

    def question(self, diffusion: Sequence[Question | dict[str, str]]) -> Question:
        """Ask for the fit over these diffusion properties."""
        return Question(
            "property",
            self.name,
            PropertyAsked(property="arrhenius", parameters={"extrapolate_to_K": float(self.extrapolate_to_K)}),
            tuple(("diffusion", source) for source in diffusion),
            "lipsdb.workflows.properties:fit_arrhenius_line",
            "analysis",
        )


def measure_diffusion(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """D of one run, its uncertainty, and σ by Nernst–Einstein."""
    from lipsdb.analysis.conductivity import nernst_einstein
    from lipsdb.analysis.diffusion import self_diffusion

    run, parameters = load_run(place.database, inputs[0].id), asked.parameters
    species = run.symbols == parameters["species"]
    framework = np.isin(run.symbols, parameters["framework"])
    result = self_diffusion(
        run.positions,
        run.frame_interval_ps,
        species,
        framework,
        run.masses,
        fit_start_ps=parameters["fit_start_ps"],
        seed=parameters["seed"],
    )
    density = float(species.sum() / run.conditions["volume_A3"])
    conductivity = nernst_einstein(
        result.diffusion,
        density,
        parameters["charge_e"],
        run.conditions["temperature_K"],
        diffusion_std_cm2_s=result.diffusion_std,
    )
    answer = {
        "conditions": run.conditions,
        "species": parameters["species"],
        "charge_e": parameters["charge_e"],
        "D_cm2_s": result.diffusion,
        "D_std_cm2_s": result.diffusion_std,
        "D_interval_95_cm2_s": list(result.credible_interval_95),
        "sigma_S_cm": conductivity.conductivity,
        "sigma_std_S_cm": conductivity.conductivity_std,
        "number_density_A3": density,
        "fit_start_ps": result.fit_start_ps,
        "fit_stop_ps": result.fit_stop_ps,
        "intercept_A2": result.intercept,
        "window_found": result.window_found,
        "loglog_slope": result.loglog_slope,
        "fickian": result.fickian,
        "method": result.method,
        "framework_msd_A2": result.framework_msd,
        "msd": {
            "lag_ps": result.lag_times_ps,
            "msd_A2": result.msd,
            "msd_std_A2": result.msd_std,
            "msd_axes_A2": result.msd_per_axis,
        },
    }
    return answer, place.watch.made_by(versions_of("kinisi", "scipy"))


def fit_arrhenius_line(place: Workplace, asked: PropertyAsked, inputs: list[Input]) -> Result:
    """Combine the replicas at each temperature and fit ln D against 1/T."""
    from lipsdb.analysis.arrhenius import combine_replicas, fit_arrhenius
    from lipsdb.analysis.conductivity import nernst_einstein

    stored = place.database.collection("properties").find({"_id": {"$in": [link.id for link in inputs]}})
    by_id = {document["_id"]: decoded(document["answer"]) for document in stored}
    sources = [by_id[link.id] for link in inputs]
    charge = sources[0]["charge_e"]
    points = []
    for temperature in sorted({source["conditions"]["temperature_K"] for source in sources}):
        replicas = [source for source in sources if source["conditions"]["temperature_K"] == temperature]
        combined = combine_replicas(
            [replica["D_cm2_s"] for replica in replicas], [replica["D_std_cm2_s"] for replica in replicas]
        )
        density = float(np.mean([replica["number_density_A3"] for replica in replicas]))
        sigma = nernst_einstein(combined.value, density, charge, temperature, diffusion_std_cm2_s=combined.std)
        points.append(
            {
                "temperature_K": temperature,
                "D_cm2_s": combined.value,
                "D_std_cm2_s": combined.std,
                "D_between_replicas_cm2_s": combined.between_std,
                "sigma_S_cm": sigma.conductivity,
                "sigma_std_S_cm": sigma.conductivity_std,
                "number_density_A3": density,
                "n_replicas": combined.n_replicas,
                "fickian": all(replica["fickian"] for replica in replicas),
                "loglog_slopes": [replica["loglog_slope"] for replica in replicas],
            }
        )
    coldest = points[0]  # its density is the nearest to that at the target temperature
    fit = fit_arrhenius(
        [point["temperature_K"] for point in points],
        [point["D_cm2_s"] for point in points],
        [point["D_std_cm2_s"] for point in points],
        number_density_per_A3=coldest["number_density_A3"],
        charge=charge,
        extrapolate_to_K=asked.parameters["extrapolate_to_K"],
    )
    conditions = sources[0]["conditions"]
    answer = {
        "conditions": {key: conditions[key] for key in ("structure", "formula", "potential_id", "ensemble")},
        "species": sources[0]["species"],
        "charge_e": charge,
        "points": points,
        "Ea_eV": fit.activation_energy,
        "Ea_std_eV": fit.activation_energy_std,
        "ln_D0_cm2_s": fit.ln_prefactor,
        "ln_D0_std": fit.ln_prefactor_std,
        "covariance": fit.covariance,
        "chi2": fit.chi2,
        "degrees_of_freedom": fit.degrees_of_freedom,
        "birge_ratio": fit.birge_ratio,
        "excluded": [asdict(point) for point in fit.excluded],
        "target_temperature_K": fit.target_temperature,
        "extrapolated": fit.extrapolated,
        "D_target_cm2_s": fit.target_diffusion,
        "D_target_68_cm2_s": list(fit.target_diffusion_68),
        "sigma_target_S_cm": fit.target_conductivity,
        "sigma_target_68_S_cm": list(fit.target_conductivity_68),
        "sigma_target_95_S_cm": list(fit.target_conductivity_95),
        "fickian": all(point["fickian"] for point in points),
    }
    return answer, place.watch.made_by(versions_of("scipy"))
