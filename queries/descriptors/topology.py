"""Topology."""

from __future__ import annotations

from lipsdb.queries.descriptors.descriptor import Descriptor

DESCRIPTORS = (
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
)
