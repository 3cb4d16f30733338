"""The section ``structures`` of a campaign: starting structures and how each is built."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from lipsdb.campaigns.base import CampaignModel, Element, Positive, Text, reference
from lipsdb.errors import BadInputError
from lipsdb.structures.crystal import CrystalSite, build_crystal

Angle = Annotated[float, Field(gt=0, lt=180)]


def _number_as_text(value: Any) -> Any:
    """A space group may be written by its number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Lattice(CampaignModel):
    """Conventional cell of the space group."""

    a_A: Positive = Field(description="length of a, Å")
    b_A: Positive = Field(description="length of b, Å")
    c_A: Positive = Field(description="length of c, Å")
    alpha_deg: Angle = Field(default=90.0, description="angle between b and c, degrees; 90 if left out")
    beta_deg: Angle = Field(default=90.0, description="angle between a and c, degrees; 90 if left out")
    gamma_deg: Angle = Field(default=90.0, description="angle between a and b, degrees; 90 if left out")


class Site(CampaignModel):
    """One site of the asymmetric unit."""

    element: Element = Field(description="chemical symbol")
    position: list[float] = Field(min_length=3, max_length=3, description="fractional coordinates x, y, z, no unit")
    label: Text | None = Field(default=None, description="name of the site, such as S1; only for error messages")
    multiplicity: int | None = Field(
        default=None, ge=1, description="atoms this site must give in the conventional cell; not checked if left out"
    )


class Crystal(CampaignModel):
    """A perfect crystal from its space group and asymmetric unit."""

    spacegroup: Annotated[str, BeforeValidator(_number_as_text)] = Field(
        description="Hermann-Mauguin symbol (Pnma, Pmn2_1) or number (62) of the space group"
    )
    lattice: Lattice = Field(
        description="conventional cell: a_A, b_A, c_A in Å, alpha_deg, beta_deg, gamma_deg in degrees"
    )
    sites: list[Site] = Field(min_length=1, description="asymmetric unit: one entry a site")


class Relaxation(CampaignModel):
    """A structure of the campaign, relaxed by DFT."""

    structure: str = reference("name of the structure that is relaxed", "structures")
    level_of_theory: Text = Field(
        description="name of a level of theory that comes with lipsdb, or a YAML file, relative to the campaign file"
    )
    cell: bool = Field(description="whether the cell is relaxed, too")
    max_force_eV_A: Positive = Field(default=0.01, description="largest force at the end, eV/Å")
    max_steps: int = Field(default=200, ge=1, description="most steps; no unit")
    ranks: int = Field(default=1, ge=1, description="MPI ranks; changes the speed, not the result; no unit")


class Structure(CampaignModel):
    """A starting structure: exactly one builder, and how often its cell is repeated."""

    crystal: Crystal | None = Field(default=None, description="builder: space group, lattice and sites")
    file: Text | None = Field(
        default=None,
        description="builder: a file with one structure, any format that ASE reads; path relative to the campaign file",
        json_schema_extra={"path_to": "file"},
    )
    relax: Relaxation | None = Field(default=None, description="builder: another structure, relaxed by DFT")
    supercell: list[Annotated[int, Field(ge=1)]] = Field(
        default=[1, 1, 1], min_length=3, max_length=3, description="repetitions along a, b, c; [1, 1, 1] if left out"
    )

    @model_validator(mode="after")
    def _one_builder(self) -> Structure:
        if sum(builder is not None for builder in (self.crystal, self.file, self.relax)) != 1:
            raise ValueError("must have exactly one of: crystal, file, relax")
        if self.relax is not None and self.supercell != [1, 1, 1]:
            raise ValueError("must not have supercell with relax: repeat the structure that is relaxed")
        return self

    def elements(self, folder: Path) -> set[str]:
        """Chemical symbols that the structure holds; `folder` is the campaign file's."""
        if self.crystal is not None:
            return {site.element for site in self.crystal.sites}
        from ase.data import chemical_symbols

        return {str(chemical_symbols[number]) for number in np.unique(self.build(folder)[0])}

    def build(self, folder: Path) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Build the structure.

        Parameters
        ----------
        folder : Path
            Folder of the campaign file, from which ``file`` is looked up.

        Returns
        -------
        numbers : (n_atoms,) int array
            Atomic numbers.
        positions : (n_atoms, 3) array, Å
        cell : (3, 3) array, Å
            Lattice vectors in rows.

        Raises
        ------
        BadInputError
            If the crystal is not consistent, or the file can't be read as a periodic structure.
        """
        if self.crystal is None:
            return _read_structure(folder / str(self.file), self.supercell)
        lattice = self.crystal.lattice
        return build_crystal(
            self.crystal.spacegroup,
            (lattice.a_A, lattice.b_A, lattice.c_A, lattice.alpha_deg, lattice.beta_deg, lattice.gamma_deg),
            [
                CrystalSite(
                    site.element, (site.position[0], site.position[1], site.position[2]), site.label, site.multiplicity
                )
                for site in self.crystal.sites
            ],
            (self.supercell[0], self.supercell[1], self.supercell[2]),
        )


def _read_structure(
    path: Path, supercell: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Last structure of a file that ASE reads, repeated."""
    import ase.io

    try:
        atoms = ase.io.read(path, index=-1)
    except Exception as error:  # ASE's readers raise whatever they stumble over
        reason = str(error).strip().splitlines()
        raise BadInputError(
            f"cannot read {path} as a structure ({type(error).__name__}: {reason[0] if reason else 'no message'}): "
            "give a file that ASE reads, such as .cif, .vasp, .xyz or .json"
        ) from error
    if isinstance(atoms, list):
        atoms = atoms[-1]
    if not bool(np.all(atoms.pbc)) or abs(float(atoms.cell.volume)) < 1e-6:
        raise BadInputError(f"{path} holds no cell that is periodic in three directions: add one to the file")
    atoms = atoms.repeat(supercell)  # type: ignore[no-untyped-call]
    return (
        np.asarray(atoms.numbers, dtype=np.int64),
        np.asarray(atoms.positions, dtype=np.float64),
        np.asarray(atoms.cell.array, dtype=np.float64),
    )
