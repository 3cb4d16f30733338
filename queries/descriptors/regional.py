"""Dynamics by region, and single ions."""

from __future__ import annotations

from lipsdb.queries.descriptors.descriptor import Descriptor

DESCRIPTORS = (
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
)
