"""Descriptors of structure and dynamics: one table for each kind, from the summaries that stand in their answers.

A descriptor's answer has a list ``summary``: what belongs in a table, one entry a row, such as a pair of elements with
the place of its first peak. Which fields these have is declared here once; columns, units and formats follow from their
names: ``peak_A`` is the column 'peak (Å)', and a number ``peak_std_A`` is its standard error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lipsdb.queries.aggregation import Aggregation, fetch, select
from lipsdb.queries.published import published_stages, published_values
from lipsdb.queries.tables import Column, Measured, Table, potential_columns, short_id

if TYPE_CHECKING:
    from lipsdb.store.database import Database

_CONDITIONS = {"structure": str, "formula": str, "potential_id": str}
_CONDITIONS_OF_RUN = {**_CONDITIONS, "ensemble": str, "temperature_K": float, "seed": int}
_UNITS = {
    "_A": "Å",
    "_A2": "Å²",
    "_A3": "Å³",
    "_per_A2": "Å⁻²",
    "_per_A": "Å⁻¹",
    "_per_A3": "Å⁻³",
    "_A2_ps": "Å²/ps",
    "_deg": "°",
    "_ps": "ps",
    "_K": "K",
    "_GPa": "GPa",
    "_cm2_s": "cm²/s",
    "_g_cm3": "g/cm³",
    "_percent": "%",
}


_CONSTANTS = ("11", "22", "33", "44", "55", "66", "12", "13", "23")


@dataclass(frozen=True)
class Descriptor:
    """The table of one kind of property.

    Attributes
    ----------
    kind : str
        As ``asked.property``.
    title : str
        What stands above the table, and in the command's help.
    fields : mapping
        Fields of each entry of ``answer.summary`` with their types: text first, then numbers, None where there is none.
    notes : sequence of str
        Remarks below the table.
    of_run : bool
        Whether it is of a run, with its temperature and seed; else of a structure.
    published : mapping
        Fields that have published values beside them, with the quantity in a campaign's section ``published``.
    """

    kind: str
    title: str
    fields: Mapping[str, type]
    notes: Sequence[str] = field(default=())
    of_run: bool = True
    published: Mapping[str, str] = field(default_factory=dict)

    @property
    def _conditions(self) -> Mapping[str, type]:
        return _CONDITIONS_OF_RUN if self.of_run else _CONDITIONS

    @cached_property
    def row_type(self) -> type[Any]:
        """The rows' dataclass: conditions of the run, the entry's fields, provenance."""
        own: list[Any] = [(name, type_ if type_ is str else type_ | None) for name, type_ in self.fields.items()]
        own += [(f"published_{name}", tuple) for name in self.published]
        tail: list[Any] = [("campaigns", tuple), ("id", str), *([("run_id", str)] if self.of_run else [])]
        tail += [("flags", tuple, field(default=())), ("withdrawals", tuple, field(default=()))]
        name = "".join(part.capitalize() for part in self.kind.split("_")) + "Row"
        return make_dataclass(name, [*self._conditions.items(), *own, *tail], frozen=True)

    def aggregation(self, campaign: str | None = None) -> Aggregation:
        """The pipeline: one document a row."""
        order = [name for name in self._conditions if name not in {"formula", "ensemble"}]
        published = published_stages(campaign, "$conditions.structure") if self.published else []
        pipeline = [
            *select("properties", {"asked.property": self.kind}, campaign),
            {"$project": {"conditions": "$answer.conditions", "summary": "$answer.summary", "campaigns": 1}},
            *published,
            {"$sort": {**{f"conditions.{name}": 1 for name in order}, "_id": 1}},
            {"$unwind": "$summary"},
        ]
        return Aggregation("properties", pipeline)

    def rows(self, database: Database, campaign: str | None = None) -> list[Any]:
        """Run the query.

        Raises
        ------
        NotFoundError
            If there is no such campaign.
        """
        return [self._row_of(found) for found in fetch(database, self.aggregation(campaign), campaign)]

    def _row_of(self, found: Mapping[str, Any]) -> Any:
        conditions, summary = found["conditions"], found["summary"]
        return self.row_type(
            **{name: conditions[name] for name in self._conditions},
            **{name: summary.get(name) for name in self.fields},
            **{
                f"published_{name}": published_values(found["published"], quantity)
                for name, quantity in self.published.items()
            },
            flags=tuple(summary.get("flags", ())),
            campaigns=tuple(found["campaigns"]),
            id=found["_id"],
            **({"run_id": conditions["run_id"]} if self.of_run else {}),
        )

    def table(self, found: Sequence[Any]) -> Table:
        """Lay the rows out as a table."""
        potential, notes = potential_columns(found) if found else ([], [])
        of_run = [
            Column("T", "K", lambda row: f"{row.temperature_K:g}"),
            Column("seed", "", lambda row: row.seed),
        ]
        own = [column for name in self.fields if "_std" not in name for column in self._columns(name)]
        columns = [
            Column("system", "", lambda row: row.structure),
            *potential,
            *(of_run if self.of_run else []),
            *own,
            *([Column("flags", "", lambda row: row.flags)] if any(row.flags for row in found) else []),
            Column("id", "", lambda row: short_id(row.id), detail=True),
        ]
        return Table(self.kind, self.title, columns, found, [*notes, *self.notes], self.row_type)

    def _columns(self, name: str) -> list[Column]:
        column = self._column(name)
        if name not in self.published:
            return [column]
        return [column, Column(f"{column.name} published", column.unit, lambda row: getattr(row, f"published_{name}"))]

    def _column(self, name: str) -> Column:
        suffix = max((end for end in _UNITS if name.endswith(end)), key=len, default="")
        base, unit = name.removesuffix(suffix), _UNITS.get(suffix, "")
        error = f"{base}_std{suffix}"
        if error not in self.fields:
            return Column(base.replace("_", " "), unit, lambda row: getattr(row, name))

        def measured(row: Any) -> Measured | None:
            value = getattr(row, name)
            return None if value is None else Measured(value, getattr(row, error))

        return Column(base.replace("_", " "), unit, measured)


DESCRIPTORS = (
    Descriptor(
        "radial_distribution",
        "First peaks of the partial radial distribution functions",
        {
            "pair": str,
            "peak_A": float,
            "height": float,
            "minimum_A": float,
            "neighbours": float,
            "neighbours_reversed": float,
        },
        ("neighbours: of the second element around the first, up to the minimum; reversed: the other way round",),
    ),
    Descriptor(
        "thiophosphate_units",
        "Phosphorus by thiophosphate unit",
        {
            "PS4_percent": float,
            "P2S6_percent": float,
            "P2S7_percent": float,
            "P3S10_percent": float,
            "others_percent": float,
            "P_four_coordinated_percent": float,
            "bridging_S_percent": float,
            "free_S_percent": float,
        },
        ("share of the P atoms (of the S atoms for the last two columns), mean over frames",),
    ),
    Descriptor(
        "bond_angles",
        "Angles between bonds",
        {
            "angle": str,
            "mean_deg": float,
            "mean_std_deg": float,
            "spread_deg": float,
            "peak_deg": float,
            "bonds_per_centre": float,
        },
        (
            "mean over angles and frames with the standard error from blocks of frames; spread: standard deviation of "
            "single angles; a regular tetrahedron has 109.47°",
        ),
    ),
    Descriptor(
        "structure_factor",
        "First sharp diffraction peak of S(Q), and distance from experiments",
        {
            "radiation": str,
            "method": str,
            "experiment": str,
            "form": str,
            "peak_per_A": float,
            "height": float,
            "R_c_percent": float,
            "from_per_A": float,
            "to_per_A": float,
        },
        (
            "peak: first maximum of S(Q) above 0.5 Å⁻¹ that stands out by a fifth of the curve's range; in a crystal a "
            "Bragg peak, whose height depends on the width of the shells",
            "R_c: root of the summed squared differences from the experiment over that of its summed squares, in the "
            "form and range given; forms and ranges do not compare",
        ),
    ),
    Descriptor(
        "bond_order",
        "Bond order q_l of Steinhardt, and averaged over the first shell",
        {
            "centres": str,
            "among": str,
            "l": int,
            "neighbours": float,
            "q": float,
            "q_std": float,
            "q_averaged": float,
            "q_averaged_std": float,
            "spread": float,
        },
        (
            "means over atoms and frames with standard errors from blocks of frames; atoms without neighbours are left "
            "out; spread: standard deviation over atoms of their averaged q over time; values of different neighbours "
            "do not compare",
        ),
    ),
    Descriptor(
        "disorder_parameter",
        "Disorder parameter S",
        {
            "of": str,
            "among": str,
            "neighbours": float,
            "S": float,
            "S_std": float,
            "spread": float,
        },
        (
            "S: 0 if all neighbours have the atom's own surroundings, 2 if theirs are not correlated with it; mean "
            "over atoms and frames with the standard error from blocks of frames; spread: standard deviation over "
            "atoms of their mean over time",
            "among: the atoms that are neighbours, and how they are chosen; values of different neighbours do not "
            "compare. doi:10.1039/d3ya00234a has 1.25 (crystal), 1.67 (tilt), 1.94 (twist boundary) and 2.0 "
            "(amorphous) at 300 K and does not print its neighbours",
        ),
    ),
    Descriptor(
        "amorphisation",
        "Amorphisation F of slabs, and where the species is",
        {
            "axis": str,
            "boundaries_A": str,
            "F_lowest": float,
            "F_lowest_std": float,
            "F_highest": float,
            "F_highest_std": float,
            "sum_highest": float,
            "crystal_percent": float,
            "crystal_std_percent": float,
            "interface_percent": float,
            "interface_std_percent": float,
            "glass_percent": float,
            "glass_std_percent": float,
        },
        (
            "F: slabs averaged over frames, standard errors from blocks of frames; percent: of the species' atoms",
            "without a reference the slab with the largest sum has F = 1: a run that is all crystal has F near 1 "
            "throughout (less in slabs between lattice planes), as one that is all glass, and its phases are not told. "
            "Give the highest sum of a run with glass, of the same cross-section and slabs, as reference",
        ),
    ),
    Descriptor(
        "voronoi_volumes",
        "Volumes of Voronoi cells",
        {
            "of": str,
            "mean_A3": float,
            "mean_std_A3": float,
            "spread_A3": float,
            "p5_A3": float,
            "median_A3": float,
            "p95_A3": float,
        },
        (
            "cells among all atoms, without radii; spread: standard deviation of single volumes; p5, p95: 5 and 95 % "
            "of them are smaller",
        ),
    ),
    Descriptor(
        "profile",
        "Concentration of the elements along an axis",
        {
            "axis": str,
            "of": str,
            "mean_per_A3": float,
            "lowest": float,
            "lowest_std": float,
            "lowest_at_A": float,
            "highest": float,
            "highest_std": float,
            "highest_at_A": float,
        },
        (
            "lowest, highest: of the smoothed concentration over its mean, with standard errors from blocks of frames, "
            "and where; they depend on the bandwidth of the smoothing",
        ),
    ),
    Descriptor(
        "density_map",
        "Density on a plane",
        {
            "of": str,
            "plane": str,
            "mean_per_A2": float,
            "highest_per_A2": float,
            "half_within_percent": float,
        },
        (
            "half within: the smallest share of the area that holds half of the atoms; 50 % if they are spread evenly. "
            "It and the highest density depend on the bins",
        ),
    ),
    Descriptor(
        "rings",
        "Rings of ions that live long (persistent homology)",
        {
            "of": str,
            "longer_than_A": float,
            "f_PD": float,
            "f_PD_std": float,
            "rings_per_ion": float,
            "median_birth_A": float,
        },
        (
            "f_PD: share of the rings with a lifetime above the threshold, standard error from blocks of snapshots; "
            "births and lifetimes are radii of spheres around the ions, half the distances between them",
            "doi:10.1039/d3ya00234a states radii and 1.0 Å, but its Fig. 9 has births at distances between ions, so "
            "that its threshold may be 0.5 Å here, and its filtration is another: absolute f_PD cannot be compared "
            "with its 0.04 (crystal) to 0.24 (amorphous), their order and ratios can",
        ),
    ),
    Descriptor(
        "lattice",
        "Lattice parameters and density at constant pressure",
        {
            "converged": str,
            "a_A": float,
            "a_std_A": float,
            "b_A": float,
            "b_std_A": float,
            "c_A": float,
            "c_std_A": float,
            "alpha_deg": float,
            "alpha_std_deg": float,
            "beta_deg": float,
            "beta_std_deg": float,
            "gamma_deg": float,
            "gamma_std_deg": float,
            "volume_A3": float,
            "volume_std_A3": float,
            "density_g_cm3": float,
            "density_std_g_cm3": float,
            "drift_sigma": float,
        },
        (
            "of one unit cell; means over frames with standard errors that respect the correlation in time",
            "converged: no if a run is too short for that, errors are then lower bounds; drift: largest difference of "
            "the means of the two halves over its standard error, above 3 not in equilibrium",
        ),
    ),
    Descriptor(
        "elasticity",
        "Elastic moduli and constants of the relaxed crystal at 0 K",
        {
            "symmetry": str,
            "symmetry_relaxed": str,
            "stable": str,
            "B_GPa": float,
            "B_std_GPa": float,
            "G_GPa": float,
            "G_std_GPa": float,
            "E_GPa": float,
            "nu": float,
            **{f"C{pair}{std}_GPa": float for pair in _CONSTANTS for std in ("", "_std")},
            "smallest_eigenvalue_GPa": float,
            "reference_stress_GPa": float,
            **{f"{axis}{std}_A": float for axis in "abc" for std in ("", "_std")},
        },
        (
            "B, G: after Hill, with the standard error of the fit to the stresses, the potential's own error aside; "
            "E, nu: Young's modulus and Poisson's ratio that follow; C: Voigt's notation, a along x, b in the xy plane",
            "symmetry: space group of the structure, over whose point group C is averaged, and of what it relaxed to; "
            "stable: all eigenvalues of C are positive",
            "reference stress: largest component left in the relaxed cell; a, b, c: of that cell, as large as the "
            "structure's, with what that stress strains them by",
        ),
        of_run=False,
        published={"B_GPa": "bulk_modulus", "G_GPa": "shear_modulus"},
    ),
    Descriptor(
        "displacement",
        "Mean squared displacement at the longest lag, and how it grows",
        {
            "of": str,
            "atoms": int,
            "lag_ps": float,
            "msd_A2": float,
            "msd_std_A2": float,
            "exponent": float,
            "exponent_std": float,
            "diffusive_from_ps": float,
        },
        (
            "exponent: local slope of ln MSD against ln t, 1 for diffusion; standard errors from groups of atoms",
            "diffusive from: first lag at which the exponent is 0.9 or more, from its smallest value on; empty if none",
        ),
    ),
    Descriptor(
        "non_gaussian",
        "Peak of the non-Gaussian parameter",
        {
            "of": str,
            "peak": str,
            "atoms": int,
            "peak_time_ps": float,
            "peak_time_std_ps": float,
            "height": float,
            "height_std": float,
            "longest_lag_ps": float,
        },
        (
            "standard errors from groups of atoms",
            "at the edge: the largest value is at the shortest or the longest lag, and the time only a bound; within "
            "its error: the peak stands less than two standard errors above 0",
        ),
    ),
    Descriptor(
        "van_hove",
        "Distance moved in a time, from the self part of the van Hove function",
        {
            "of": str,
            "atoms": int,
            "time_ps": float,
            "most_probable_A": float,
            "r_max_A": float,
            "beyond_percent": float,
        },
        ("most probable: centre of the fullest bin; beyond: share of the displacements longer than r max",),
    ),
    Descriptor(
        "displacement_map",
        "Mobile atoms",
        {
            "of": str,
            "atoms": int,
            "window_ps": float,
            "windows": int,
            "mobile_beyond_A": float,
            "mobile_percent": float,
            "mobile_std_percent": float,
            "displacement_A": float,
            "displacement_std_A": float,
        },
        ("means over windows, one after another, and the standard deviation between them; of one window: none",),
    ),
    Descriptor(
        "isotropy",
        "Isotropy ξ (xi) of diffusion: slope m of the MSD along the normal over the larger one in the plane",
        {
            "of": str,
            "normal": str,
            "atoms": int,
            "from_ps": float,
            "to_ps": float,
            "xi": float,
            "xi_std": float,
            "isotropic_from": float,
            "isotropic_to": float,
            "m_x_A2_ps": float,
            "m_x_std_A2_ps": float,
            "m_y_A2_ps": float,
            "m_y_std_A2_ps": float,
            "m_z_A2_ps": float,
            "m_z_std_A2_ps": float,
        },
        (
            "ξ inside the isotropic interval shows no anisotropy: 95 % of ξ would lie there for an isotropic medium, "
            "more of them below 1 than above, since the larger of two uncertain slopes is too large",
            "standard errors from groups of atoms, taken as independent: atoms that move in concert make them larger",
        ),
    ),
    Descriptor(
        "regional_diffusion",
        "Diffusion coefficient of the ions of each region, by direction",
        {
            "region": str,
            "of": str,
            "ions": float,
            "retention_percent": float,
            "D_x_cm2_s": float,
            "D_x_std_cm2_s": float,
            "D_y_cm2_s": float,
            "D_y_std_cm2_s": float,
            "D_z_cm2_s": float,
            "D_z_std_cm2_s": float,
            "D_cm2_s": float,
            "D_std_cm2_s": float,
            "xi": float,
            "xi_std": float,
            "from_ps": float,
            "to_ps": float,
        },
        (
            "D: mean of the three directions; xi: along the normal over the larger of the other two; ions: mean number "
            "in the region, those that leave it for no longer than bridge_ps included; from, to: lags of the fit",
            "the uncertainties, from the spread over ions taken as independent, hold no bias from exchange with the "
            "surroundings, which retention shows: the share of the ions at the end of the fit that never left "
            "(followed) or are there again (start). At 100 % there is none; with followed, D along the normal is too "
            "low by up to about what is missing to 100 %, since ions that go far leave; with start, all D are mixed "
            "with those of the surroundings",
        ),
    ),
    Descriptor(
        "region_fractions",
        "Ions by region, and how long they stay",
        {
            "region": str,
            "of": str,
            "ions": float,
            "share_percent": float,
            "share_std_percent": float,
            "residence_ps": float,
        },
        (
            "ions: mean number in the region; share: of all these ions, with standard errors from blocks of frames",
            "residence: time after which 1/e of those in the region have stayed, absences up to bridge_ps not counted; "
            "empty if longer than half of the run",
        ),
    ),
    Descriptor(
        "ion_paths",
        "Single ions that get farthest from where they start",
        {
            "of": str,
            "ion": int,
            "farthest_A": float,
            "net_A": float,
        },
        (
            "ion: index of the atom in the structure, from 0; farthest: largest distance from its place in the first "
            "frame; net: distance between the places in the first and the last frame",
        ),
    ),
    Descriptor(
        "nonaffine_displacement",
        "Non-affine displacements of ions",
        {
            "species": str,
            "D2min_A2": float,
            "D2min_std_A2": float,
            "D_cum_A": float,
            "D_cum_std_A": float,
            "D_cum_median_A": float,
            "D_cum_upper_tenth_A": float,
            "blocks": int,
        },
        (
            "D2min: what the best local strain leaves of the motion against the surroundings, over one window; D_cum: "
            "sum of its roots over a block of windows, to which vibrations add too; upper tenth: exceeded by a tenth "
            "of the ions and blocks",
        ),
    ),
    Descriptor(
        "softness",
        "Softness S of ions by a classifier",
        {
            "classifier": str,
            "species": str,
            "S": float,
            "S_std": float,
            "soft_percent": float,
            "soft_std_percent": float,
            "spread": float,
            "order": str,
            "spearman": float,
            "spearman_std": float,
        },
        (
            "means over ions and frames with standard errors from blocks of frames; soft: S > 0, which says as much as "
            "the classifier is good (`lipsdb query classifiers`); spread: standard deviation over ions of their mean "
            "over time; spearman: rank correlation of S with the averaged bond order of the ion (its l, neighbours), "
            "error from drawing ions",
        ),
    ),
)
