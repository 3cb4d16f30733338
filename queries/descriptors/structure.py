"""Structure: pairs, units, angles, scattering."""

from __future__ import annotations

from lipsdb.queries.descriptors.descriptor import Descriptor

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
)
