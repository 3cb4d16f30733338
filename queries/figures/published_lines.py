"""Published activation energies and conductivities as lines of D(T)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lipsdb.analysis.arrhenius import BOLTZMANN_EV_PER_K
from lipsdb.analysis.trajectory_arrays import FloatArray

CONDUCTIVITY_TEMPERATURE_K = 300.0  # of the published quantity sigma_300K
_COMPUTED = re.compile(r"(MD|DFT|NEB|DeePMD|MTP|kMC|simulation|computed)\b", re.IGNORECASE)


@dataclass(frozen=True)
class PublishedResult:
    """What one source says of one structure by one method; values that it doesn't give are None.

    Attributes
    ----------
    structure, method : str
        As in the campaign file.
    simulation : bool
        Whether it was computed; otherwise it was measured.
    activation_energy_eV, conductivity_300K_S_cm : float or None
    doi, where : str
        The publication that prints it, and the place in it.
    cites : str or None
        The original work, if that publication quotes it.
    """

    structure: str
    method: str
    simulation: bool
    activation_energy_eV: float | None
    conductivity_300K_S_cm: float | None
    doi: str
    where: str
    cites: str | None

    @property
    def label(self) -> str:
        """Method and source, short."""
        source = self.cites.partition(",")[0] if self.cites else f"doi:{self.doi}"
        return f"{self.method} ({source})"

    def diffusion_at(self, temperatures_K: FloatArray, number_density_A3: float, charge_e: float) -> FloatArray | None:
        """D in cm²/s on the line through σ(300 K) with slope Ea; None unless both are published.

        Notes
        -----
        Ea is taken as that of D (of σT); the Nernst–Einstein relation with our own density of mobile ions (Å⁻³) turns
        σ(300 K) into D(300 K).
        """
        from lipsdb.analysis.conductivity import nernst_einstein

        if self.activation_energy_eV is None or self.conductivity_300K_S_cm is None:
            return None
        per_diffusion = nernst_einstein(1.0, number_density_A3, charge_e, CONDUCTIVITY_TEMPERATURE_K).conductivity
        inverse = 1.0 / temperatures_K - 1.0 / CONDUCTIVITY_TEMPERATURE_K
        line: FloatArray = (
            self.conductivity_300K_S_cm
            / per_diffusion
            * np.exp(-self.activation_energy_eV / BOLTZMANN_EV_PER_K * inverse)
        )
        return line


def is_simulation(method: str) -> bool:
    """Whether a method, as named in a campaign file, is a computation.

    Examples
    --------
    >>> is_simulation("MTP-MD"), is_simulation("AC impedance"), is_simulation("Li NMR")
    (True, False, False)
    """
    return _COMPUTED.search(method) is not None


def published_results(published: Sequence[Mapping[str, Any]]) -> list[PublishedResult]:
    """Bring Ea and σ(300 K) of the same source, structure and method together, in the order of the campaign file.

    Parameters
    ----------
    published : sequence of mappings
        The section ``published`` of a campaign.
    """
    found: dict[tuple[Any, ...], dict[str, float]] = {}
    for entry in published:
        source = entry["source"]
        key = (entry["structure"], entry["method"], source["doi"], source["where"], source.get("cites"))
        if entry["quantity"] in ("Ea", "sigma_300K") and entry["value"] is not None:
            found.setdefault(key, {})[entry["quantity"]] = entry["value"]
    return [
        PublishedResult(
            structure, method, is_simulation(method), values.get("Ea"), values.get("sigma_300K"), doi, where, cites
        )
        for (structure, method, doi, where, cites), values in found.items()
    ]
