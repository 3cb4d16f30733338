"""Order: bond order, disorder, amorphisation."""

from __future__ import annotations

from lipsdb.queries.descriptors.descriptor import Descriptor

DESCRIPTORS = (
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
)
