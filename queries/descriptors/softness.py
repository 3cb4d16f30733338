"""Rearrangement and softness."""

from __future__ import annotations

from lipsdb.queries.descriptors.descriptor import Descriptor

DESCRIPTORS = (
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
