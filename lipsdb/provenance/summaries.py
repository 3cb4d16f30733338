"""One line for people about each document, from a few of its fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lipsdb.field_names import settings_in_words

_FIELDS: dict[str, list[str]] = {
    "level_of_theory": ["asked", "answer.how_known"],
    "structure": ["answer.name", "answer.formula", "answer.n_atoms", "asked.builder"],
    "label": ["origin", "answer.formula", "answer.n_atoms", "asked.level_of_theory"],
    "refusal": ["asked", "answer.gate", "answer.reason"],
    "dataset": ["answer.n_training", "answer.n_held", "answer.systems"],
    "potential": ["asked.engine", "asked.settings.level", "answer.errors", "answer.elements", "answer.cutoff_A"],
    "run": [
        *("asked.program", "asked.settings", "answer.n_atoms", "answer.n_frames", "answer.frame_interval_ps"),
        "answer.extrapolation.stopped_at_step",
    ],
    "classifier": [
        "asked.method",
        *(f"answer.{name}" for name in ("features", "runs", "test", "hopping_from_A")),
    ],
    "property": [
        "asked",
        *(
            f"answer.{name}"
            for name in (
                "conditions",
                "species",
                "D_cm2_s",
                "D_std_cm2_s",
                "Ea_eV",
                "Ea_std_eV",
                "target_temperature_K",
            )
        ),
        *(f"answer.{name}" for name in ("sigma_target_S_cm", "extrapolated", "centre", "neighbour", "mean")),
        *(f"answer.{name}" for name in ("errors", "n_labels", "rows")),
    ],
    "campaign": ["asked.name", "answer.file"],
    "withdrawal": ["asked"],
    "audit": ["asked.levels", "asked.campaign", "asked.started_at", "answer.passed", "answer.n_errors"],
}


def summary_fields(kind: str) -> list[str]:
    """Fields that `summary_of` reads from a document of this kind; no array is among them."""
    return ["kind", "content", *_FIELDS[kind]]


def summary_of(document: Mapping[str, Any], n_labels: int | None = None) -> str:
    """Say in one line what a document is.

    Parameters
    ----------
    document : mapping
        At least `summary_fields` of it, as read from MongoDB.
    n_labels : int, optional
        For a potential: how many labels its dataset has.

    Returns
    -------
    str
        Begins with the kind.

    Examples
    --------
    >>> summary_of({"_id": "campaign-0", "kind": "campaign", "asked": {"name": "quickstart"}})
    'campaign: quickstart'
    """
    kind = str(document.get("_id", "")).partition("-")[0]
    try:
        if kind == "potential":
            return f"potential: {_potential(document, n_labels)}"
        return f"{kind}: {_WRITERS[kind](document)}"
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return f"{kind}: its record cannot be read"


def functional_of(asked: Mapping[str, Any]) -> str | None:
    """Functional of a level of theory; None if its settings name none.

    Examples
    --------
    >>> functional_of({"settings": {"functional": "PBE"}})
    'PBE'
    """
    functional = asked["settings"].get("functional")
    return None if functional is None else str(functional)


def dispersion_of(asked: Mapping[str, Any]) -> str | None:
    """Dispersion correction of a level of theory; None if its settings have no such key.

    Examples
    --------
    >>> dispersion_of({"settings": {"dispersion": None}}), dispersion_of({"settings": {"dispersion": "D3"}})
    ('no dispersion', 'D3')
    """
    settings = asked["settings"]
    if "dispersion" not in settings:
        return None
    return str(settings["dispersion"]) if settings["dispersion"] else "no dispersion"


def cutoff_of(asked: Mapping[str, Any]) -> str | None:
    """Plane-wave cutoff of a level of theory with its unit; None if its settings have none.

    Examples
    --------
    >>> cutoff_of({"settings": {"cutoff_Ry": 500.0, "rel_cutoff_Ry": 50.0}}), cutoff_of({"settings": {"encut_eV": 520}})
    ('500/50 Ry', '520 eV')
    """
    settings = asked["settings"]
    for keys, unit in ((("cutoff_Ry", "rel_cutoff_Ry"), "Ry"), (("cutoff_eV",), "eV"), (("encut_eV",), "eV")):
        if keys[0] in settings:
            return f"{'/'.join(f'{settings[key]:g}' for key in keys if key in settings)} {unit}"
    return None


def _level_of_theory(document: Mapping[str, Any]) -> str:
    asked = document["asked"]
    method = " ".join(part for part in (asked["code"], functional_of(asked)) if part)
    parts = (asked["name"], method, dispersion_of(asked), cutoff_of(asked))
    return f"{', '.join(part for part in parts if part)} ({document['answer']['how_known']})"


def _refusal(document: Mapping[str, Any]) -> str:
    asked, answer = document["asked"], document["answer"]
    frame = f"frame {asked['frame']}" if asked["frame"] is not None else ""
    place = " ".join(part for part in (asked["folder"], frame) if part)
    what = f"{asked['system']} ({place})" if place else asked["system"]
    return f"{what} at {asked['level_of_theory']}: {answer['gate']}: {answer['reason']}"


def _count(number: int) -> str:
    """A number of things, short: 950, 5.7k."""
    return f"{number / 1000:.1f}k" if number >= 1000 else str(number)


def _structure(document: Mapping[str, Any]) -> str:
    answer = document["answer"]
    return f"{answer['name']}, {answer['formula']}, {answer['n_atoms']} atoms ({document['asked']['builder']})"


def _label(document: Mapping[str, Any]) -> str:
    origin, n_atoms = document["origin"], document["answer"]["n_atoms"]
    place = f"{origin['folder']} frame {origin['frame']}"
    return f"{origin['system']}, {n_atoms} atoms, {document['asked']['level_of_theory']}, {place}"


def _dataset(document: Mapping[str, Any]) -> str:
    answer = document["answer"]
    n_systems = len({entry["system"] for entry in answer["systems"]})
    systems = "1 system" if n_systems == 1 else f"{n_systems} systems"
    return f"{answer['n_training']} labels to train on, {answer['n_held']} held out, {systems}"


def _potential(document: Mapping[str, Any], n_labels: int | None) -> str:
    overall = next((entry for entry in document["answer"]["errors"] if entry["system"] == "all"), None)
    labels = [] if n_labels is None else [f"{_count(n_labels)} labels"]
    errors = [] if overall is None else [f"F MAE {overall['force_mae_meV_per_A']:.0f} meV/Å"]
    level = document["asked"].get("settings", {}).get("level")  # of a moment tensor potential
    size = [] if level is None else [f"level {level}", f"cutoff {document['answer']['cutoff_A']:g} Å"]
    return ", ".join([document["asked"]["engine"], *size, *labels, *errors])


def _run(document: Mapping[str, Any]) -> str:
    settings, answer = document["asked"]["settings"], document["answer"]
    conditions = f"{str(settings['ensemble']).upper()} {settings['temperature_K']:g} K"
    if settings.get("pressure_bar") is not None:
        conditions += f" {settings['pressure_bar']:g} bar"
    length_ps = answer["frame_interval_ps"] * max(answer["n_frames"] - 1, 0)
    told = f"{conditions}, {answer['n_atoms']} atoms, {length_ps:g} ps, seed {settings['seed']}"
    stopped = (answer.get("extrapolation") or {}).get("stopped_at_step")
    if stopped is None:
        return told
    from lipsdb.md.extrapolation import step_in_words

    where = step_in_words(stopped, settings["n_steps"], settings["equilibration_steps"])
    return f"{told}, ended at step {where}: its potential extrapolated"


def _classifier(document: Mapping[str, Any]) -> str:
    answer, test = document["answer"], document["answer"]["test"]
    temperatures = sorted({run["temperature_K"] for run in answer["runs"]})
    where = f"{len(answer['runs'])} runs at {', '.join(f'{one:g}' for one in temperatures)} K"
    accuracy = f"balanced accuracy {test['balanced_accuracy']:.2f} on {test['n_samples']} samples held out"
    method = f"{document['asked']['method']} of {answer['features']['centre']}"
    return f"{method}, D_c {answer['hopping_from_A']:.3g} Å, {where}, {accuracy}"


def _property(document: Mapping[str, Any]) -> str:
    asked, answer = document["asked"], document["answer"]
    name, conditions = asked["property"], answer.get("conditions", {})
    temperature = f" {conditions['temperature_K']:g} K" if "temperature_K" in conditions else ""
    if name == "diffusion":
        return (
            f"diffusion {answer['species']}{temperature} D={answer['D_cm2_s']:.2e} ± {answer['D_std_cm2_s']:.1e} cm²/s"
        )
    if name == "arrhenius":
        target = f"σ({answer['target_temperature_K']:g} K)={answer['sigma_target_S_cm']:.1e} S/cm"
        how = ", extrapolated" if answer["extrapolated"] else ""
        return f"arrhenius {answer['species']} Ea={answer['Ea_eV']:.3f} ± {answer['Ea_std_eV']:.3f} eV, {target}{how}"
    if name == "coordination":
        return f"coordination {answer['centre']}–{answer['neighbour']}{temperature} mean {answer['mean']:.2f}"
    if name == "prediction_errors":
        overall = next(entry for entry in answer["errors"] if entry["system"] == "all")
        energy, force = overall["energy_mae_meV_per_atom"], overall["force_mae_meV_per_A"]
        return f"prediction errors on {answer['n_labels']} labels: E MAE {energy:.1f} meV/atom, F MAE {force:.0f} meV/Å"
    if name == "potential_choice":
        return _potential_choice(answer["rows"])
    called = asked["parameters"].get("name")
    return f"{name}{temperature}" + (f" ({called})" if called and called != name else "")


def _potential_choice(rows: Sequence[Mapping[str, Any]]) -> str:
    chosen = next(row for row in rows if row["chosen"])
    return (
        f"potential choice among {len(rows)}: {chosen['engine']}, {settings_in_words(chosen['settings'])}, "
        f"F MAE {chosen['force_mae_meV_per_A']:.0f} meV/Å, {chosen['time_us_per_atom']:.3g} µs per atom and step"
    )


def _withdrawal(document: Mapping[str, Any]) -> str:
    asked = document["asked"]
    what = "withdrawn" if asked["withdrawn"] else "trusted again"
    return f"{asked['document']} {what} by {asked['by']}: {asked['reason']}"


def _audit(document: Mapping[str, Any]) -> str:
    asked, answer = document["asked"], document["answer"]
    verdict = "passed" if answer["passed"] else f"failed with {answer['n_errors']} errors"
    of = f" of {asked['campaign']}" if asked["campaign"] else ""
    return f"{', '.join(asked['levels'])}{of} at {asked['started_at']:%Y-%m-%d %H:%M} UTC: {verdict}"


_WRITERS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "level_of_theory": _level_of_theory,
    "refusal": _refusal,
    "structure": _structure,
    "label": _label,
    "dataset": _dataset,
    "run": _run,
    "classifier": _classifier,
    "property": _property,
    "campaign": lambda document: str(document["asked"]["name"]),
    "withdrawal": _withdrawal,
    "audit": _audit,
}
