"""Dynamics of a group of atoms."""

from __future__ import annotations

from lipsdb.queries.descriptors.descriptor import Descriptor

DESCRIPTORS = (
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
            "its error: the peak stands less than two standard errors above 0; without an error: a single group of "
            "atoms, such as one atom, which cannot tell a peak from noise; a time without an error at a peak: it is "
            "the same lag without any group",
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
)
