"""The log of a training, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lipsdb.potentials.mtp.checkpoint import Row
from lipsdb.potentials.mtp.potential import MomentTensorPotential
from lipsdb.potentials.mtp.settings import MTPSettings
from lipsdb.potentials.training_set import LabelledFrames

NOT_OF_THE_TRAINING = {"grade_mode"}  # settings of what comes after it


def missing_pairs(systems: Mapping[str, LabelledFrames], potential: MomentTensorPotential) -> list[tuple[str, str]]:
    """Pairs of elements of a potential that no frame has together."""
    from ase.data import chemical_symbols

    together = [{chemical_symbols[number] for number in frames.numbers} for frames in systems.values()]
    names = potential.elements
    pairs = [(one, other) for i, one in enumerate(names) for other in names[i:]]
    return [pair for pair in pairs if not any(set(pair) <= present for present in together)]


def training_log(
    settings: MTPSettings,
    first: MomentTensorPotential,
    missing: Sequence[tuple[str, str]],
    trials: Sequence[float],
    columns: Sequence[str],
    rows: Iterable[Row],
    ended: str,
    iterations: int,
    spent: Mapping[str, float],
) -> str:
    """What a reader wants to know of a training: settings, learning curve, and why it ended.

    Parameters
    ----------
    settings : MTPSettings
    first : MomentTensorPotential
        That it started from.
    missing : sequence of pairs of str
        Of `missing_pairs`.
    trials : sequence of float
        Loss of each start that was tried.
    columns : sequence of str
    rows : iterable of mapping
        The learning curve.
    ended : str
    iterations : int
    spent : mapping
        wall_s and cpu_s.
    """
    told: dict[str, Any] = settings.model_dump(mode="json", exclude=NOT_OF_THE_TRAINING)
    lines = [
        "Training of a moment tensor potential by " + settings.program,
        "",
        *(f"{name:24}{value}" for name, value in told.items()),
        f"{'elements':24}{' '.join(first.elements)}",
        f"{'shortest distance':24}{first.min_distance_A:g} Å (of the radial functions)",
        f"{'parameters':24}{first.n_parameters}",
    ]
    if missing:
        pairs = ", ".join(f"{one}-{other}" for one, other in missing)
        lines.append(f"{'pairs without data':24}{pairs}: what the potential says of them means nothing")
    if len(trials) > 1:
        came = f"after {settings.start_iterations} iterations; the lowest goes on"
        lines += ["", f"Loss of {len(trials)} starts {came}", *(f"{loss:14.6g}" for loss in trials)]
    lines += ["", "Errors in eV/atom (e, v) and eV/Å (f)", "".join(f"{name:>14}" for name in columns)]
    for row in rows:
        lines.append("".join(f"{row[name]:14.0f}" if name == "step" else f"{row[name]:14.6g}" for name in columns))
    lines += ["", f"Ended after {iterations} iterations: {ended}."]
    lines.append(f"Wall-clock time {spent['wall_s']:.1f} s, CPU time {spent['cpu_s']:.1f} s, over all restarts.")
    return "\n".join(lines) + "\n"
