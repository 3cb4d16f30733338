"""What a report cites: the campaign's own references, sources of published values, and the programs that took part."""

from __future__ import annotations

from lipsdb.queries.report.contents import Contents

_MTP = {"mtp", "motep", "mlp"}
_METHODS = (  # what is cited if one of these programs took part, or a potential of one of these engines
    ("10.1021/acs.jctc.4c01249", "kinisi: diffusion coefficients with their uncertainty", {"kinisi"}),
    ("10.1063/5.0155600", "DeePMD-kit: the potential", {"deepmd-kit"}),
    ("10.1137/15M1054183", "Moment tensor potentials", _MTP),
    ("10.1088/2632-2153/abc9fe", "The MLIP package: training and active learning of moment tensor potentials", _MTP),
    ("10.1145/2833157.2833162", "Numba: compiles the kernels of moment tensor potentials", {"numba"}),
    ("10.1016/j.cpc.2021.108171", "LAMMPS: molecular dynamics", {"lammps"}),
)
_GRADES = ("10.1016/j.commatsci.2017.08.031", "Extrapolation grade of linearly parametrised potentials")
_WITHOUT_DOI = (
    ("imw-md/motep on GitHub", "motep: files of moment tensor potentials and the selection of active sets", "motep"),
)


def versions_of(contents: Contents) -> list[tuple[str, list[str]]]:
    """Programs and libraries that took part, each with the versions found."""
    found: dict[str, set[str]] = {}
    for document in contents.documents():
        for program, version in document["made_by"]["versions"].items():
            found.setdefault(program, set()).add(version)
    return sorted((program, sorted(versions)) for program, versions in found.items())


def references_of(contents: Contents) -> list[tuple[str, str]]:
    """DOIs with what they stand for: the campaign's own, sources of published values, and methods that were used."""
    found = {reference["doi"]: reference["what"] for reference in contents.specification.get("references", [])}
    for result in contents.published:
        found.setdefault(result.doi, "published values")
    programs = {program.lower() for program, _ in versions_of(contents)}
    programs |= {potential["asked"]["engine"] for potential in contents.potentials}
    for doi, what, one_of in _METHODS:
        if programs & one_of:
            found.setdefault(doi, what)
    if any(run["answer"].get("extrapolation") for run in contents.runs):
        found.setdefault(*_GRADES)
    return list(found.items())


def repositories_of(contents: Contents) -> list[tuple[str, str]]:
    """Programs that took part and have no publication: where they are, and what they did."""
    programs = {program for program, _ in versions_of(contents)}
    return [(place, what) for place, what, program in _WITHOUT_DOI if program in programs]
