"""What CP2K's output says it used, beside a level of theory."""

from __future__ import annotations

import re

from lipsdb.dft.cp2k.level import Cp2kLevel
from lipsdb.errors import RefusedError

_RY_PER_HARTREE = 2.0
_PRINTED_DIGIT_RY = 0.11  # cutoffs are printed in tenths of a Hartree
_KIND = re.compile(
    r"^ +\d+\. Atomic kind: (\S+) +Number of atoms: +(\d+)\s*$"
    r"(?:(?!^ +\d+\. Atomic kind:)[\s\S])*?^ +Orbital Basis Set +(\S+)"
    r"(?:(?!^ +\d+\. Atomic kind:)[\s\S])*?^ +GTH Potential information for +(\S+)",
    re.MULTILINE,
)


def check_level(level: Cp2kLevel, text: str) -> None:
    """Compare what an output says of its settings with a level of theory.

    Parameters
    ----------
    level : Cp2kLevel
    text : str
        CP2K's output. What it does not tell (with a low PRINT_LEVEL) is not compared; neither are EPS_DEFAULT and
        EPS_SCF, and of basis sets and pseudopotentials only the names are.

    Raises
    ------
    RefusedError
        Its `gate` is 'level', or 'valence' for pseudopotentials and the number of electrons; the message names the
        setting, what was found and what the level says.
    """
    _compare("spin", "unrestricted" if re.search(r"^ DFT\| Spin unrestricted", text, re.MULTILINE) else None, "none")
    _compare("k-points", "a BRILLOUIN section" if "\n BRILLOUIN| " in text else None, "Γ only")
    _compare("METHOD", _word(r"QS\| Method:", text), "GPW")
    functional = functional_of(text)
    _compare("XC_FUNCTIONAL", functional, level.functional)
    if functional is not None:  # the dispersion correction is printed where the functional is
        _compare("VDW_POTENTIAL", dispersion_of(text) or "none", level.dispersion or "none")
    for name, label, wanted in (
        ("CUTOFF", r"QS\| Density cutoff \[a\.u\.\]:", level.cutoff_Ry),
        ("REL_CUTOFF", r"QS\| Relative density cutoff \[a\.u\.\]:", level.rel_cutoff_Ry),
    ):
        found = _word(label, text)
        if found is not None and abs(_RY_PER_HARTREE * float(found) - wanted) > _PRINTED_DIGIT_RY:
            _compare(name, f"{_RY_PER_HARTREE * float(found):g} Ry", f"{wanted:g} Ry")
    _compare("NGRIDS", _word(r"QS\| Number of grid levels:", text), str(level.ngrids))
    _check_kinds(level, text)


def functional_of(text: str) -> str | None:
    """The functional of an output, in a level's terms where it has one; None if the output does not tell.

    Examples
    --------
    >>> functional_of(" FUNCTIONAL| PBE:\\n FUNCTIONAL| revPBE, Yingkay Zhang and Weitao Yang, Phys. Rev. Letter\\n")
    'REVPBE'
    >>> functional_of(" FUNCTIONAL| BECKE88:\\n FUNCTIONAL| A. Becke\\n FUNCTIONAL| LYP:\\n FUNCTIONAL| C. Lee\\n")
    'BLYP'
    """
    lines = re.findall(r"^ FUNCTIONAL\|(.*)$", text, re.MULTILINE)
    if not lines:
        return None
    names = [line.strip()[:-1] for line in lines if re.fullmatch(r" \w+:\s*", line)]
    found = "+".join(dict.fromkeys(names))  # one block for each force environment
    described = "".join(line[1:] for line in lines)  # references are broken in the middle of words
    if found == "PBE":
        found = "PBESOL" if "PBEsol" in described else "REVPBE" if "revPBE" in described else "PBE"
    found = {"BECKE88+LYP": "BLYP"}.get(found, found)
    scaled = re.findall(r"s[xc]=\s*(\d*\.\d+)", described)
    hybrid = any(float(scale) != 1.0 for scale in scaled) or "\n HFX_INFO|" in text
    return f"{found}, scaled or with exact exchange" if hybrid else found


def dispersion_of(text: str) -> str | None:
    """The dispersion correction of an output, in a level's terms where it has one; None for none."""
    lines = " ".join(re.findall(r"^ vdW POTENTIAL\|(.*)$", text, re.MULTILINE))
    if not lines:
        return None
    if "DFT-D3" in lines and "Zero Damping" in lines:
        return "D3"
    if "DFT-D3" in lines and "BJ Damping" in lines:
        return "D3(BJ)"
    return " ".join(lines.split())[:60]


def _word(label: str, text: str) -> str | None:
    found = re.search(rf"^ {label} +(\S+)\s*$", text, re.MULTILINE)
    return found[1] if found else None


def _compare(setting: str, found: str | None, wanted: str, gate: str = "level") -> None:
    if found is not None and found != wanted:
        raise RefusedError(f"CP2K used {setting} = {found}, the level of theory has {wanted}", gate)


def _check_kinds(level: Cp2kLevel, text: str) -> None:
    """Compare names of basis sets and pseudopotentials, and the electrons that these leave."""
    n_electrons = 0
    kinds = {kind[0]: kind for kind in _KIND.findall(text)}
    for name, n_atoms, basis, potential in kinds.values():
        symbol = _symbol(name)
        if symbol not in level.kinds:
            raise RefusedError(
                f"CP2K used the element {symbol}, the level of theory has {', '.join(level.kinds)}", "level"
            )
        wanted = level.kinds[symbol]
        suffix = f"-q{wanted.valence}"  # data files have most entries under a name without it, too
        if basis.removesuffix(suffix) != wanted.basis.removesuffix(suffix):
            _compare(f"BASIS_SET of {symbol}", basis, wanted.basis)
        if potential.removesuffix(suffix) != wanted.potential.removesuffix(suffix):
            _compare(f"POTENTIAL of {symbol}", potential, wanted.potential, "valence")
        n_electrons += int(n_atoms) * wanted.valence
    printed = _word("Number of electrons:", text)
    if kinds and printed is not None:
        _compare("Number of electrons", printed, str(n_electrons), "valence")


def _symbol(kind: str) -> str:
    """Element of a kind, whose name may go on behind it, such as Li1 or H_a."""
    from ase.data import atomic_numbers

    letters = re.match(r"[A-Za-z]{1,2}", kind)
    found = letters[0].capitalize() if letters else kind
    return found if found in atomic_numbers else found[:1]
