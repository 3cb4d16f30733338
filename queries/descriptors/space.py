"""Where atoms are: volumes, profiles, maps."""

from __future__ import annotations

from lipsdb.queries.descriptors.descriptor import Descriptor

DESCRIPTORS = (
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
)
