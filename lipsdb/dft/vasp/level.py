"""What changes the number in a VASP calculation."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from lipsdb.documents.base import Model

#: INCAR tags that make a functional, as VASP's manual gives them (optB88-vdW: doi 10.1088/0953-8984/22/2/022201).
FUNCTIONAL_TAGS: dict[str, dict[str, str | bool | float]] = {
    "PBE": {"GGA": "PE"},
    "optB88-vdW": {"GGA": "BO", "PARAM1": 0.1833333333, "PARAM2": 0.22, "AGGAC": 0.0, "LUSE_VDW": True},
}
VDW_KERNEL = "vdw_kernel.bindat"


class VaspLevel(Model):
    """Settings of a VASP level of theory (PAW); k-points on a Γ-centred mesh, no spin.

    The electronic minimiser and its mixing are not among them: a converged SCF does not depend on them. What an ionic
    loop needs (EDIFFG, time step …) belongs to the relaxation or the dynamics.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    functional: Literal["PBE", "optB88-vdW"] = Field(description="Exchange-correlation functional.")
    functional_tags: dict[str, str | bool | float] = Field(description="The INCAR tags that make the functional.")
    vdw_kernel: Literal["vdw_kernel.bindat"] | None = Field(
        None, description="Kernel of the non-local correlation: VASP's own table, or None for a functional without."
    )
    encut_eV: float = Field(description="ENCUT: plane-wave cutoff, eV.", gt=0)
    kpoints: list[int] = Field(description="Divisions of the Γ-centred mesh of k-points.", min_length=3, max_length=3)
    ediff_eV: float = Field(description="EDIFF: convergence of the SCF, eV.", gt=0, le=1e-3)
    ismear: Literal[-5, 0, 1, 2] = Field(description="ISMEAR: -5 tetrahedra, 0 Gaussian, 1 and 2 Methfessel-Paxton.")
    sigma_eV: float = Field(description="SIGMA: width of the smearing, eV.", gt=0)
    precision: Literal["Normal", "Accurate"] = Field(description="PREC: FFT grids.")
    lreal: Literal["Auto"] | bool = Field(description="LREAL: projectors in real space (Auto) or reciprocal (false).")
    addgrid: bool = Field(description="ADDGRID: an additional grid for the augmentation charges.")
    lasph: bool = Field(description="LASPH: non-spherical gradient contributions inside the PAW spheres.")
    ispin: Literal[1] = Field(1, description="ISPIN: 1, without spin.")
    isym: Literal[-1, 0, 2] = Field(description="ISYM: -1 and 0 impose no symmetry of the structure, 2 does.")
    potcar_functional: Literal["PBE", "PBE_52", "PBE_54", "PBE_64"] = Field(
        description="Release of the PAW data sets, as pymatgen names them."
    )
    potcars: dict[str, str] = Field(description="Chemical symbol -> name of its PAW data set.", min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _tags_of_functional(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "functional_tags" in data or data.get("functional") not in FUNCTIONAL_TAGS:
            return data
        return {**data, "functional_tags": FUNCTIONAL_TAGS[data["functional"]]}

    @model_validator(mode="after")
    def _consistent(self) -> VaspLevel:
        from ase.data import atomic_numbers

        if self.functional_tags != FUNCTIONAL_TAGS[self.functional]:
            raise ValueError(
                f"functional_tags {self.functional_tags} are not those of {self.functional}; "
                f"leave them out or give {FUNCTIONAL_TAGS[self.functional]}"
            )
        non_local = bool(self.functional_tags.get("LUSE_VDW"))
        if non_local != (self.vdw_kernel is not None):
            wanted = VDW_KERNEL if non_local else "null"
            raise ValueError(f"vdw_kernel is {self.vdw_kernel}; for {self.functional} it must be {wanted}")
        if non_local and not self.lasph:
            raise ValueError(f"lasph is false; {self.functional} needs true")
        if min(self.kpoints) < 1:
            raise ValueError(f"kpoints {self.kpoints} must be three positive divisions")
        if self.ismear == -5 and self.kpoints[0] * self.kpoints[1] * self.kpoints[2] < 4:
            raise ValueError(f"ismear -5 needs at least 4 k-points, kpoints are {self.kpoints}; use 0")
        for symbol, potcar in self.potcars.items():
            if symbol not in atomic_numbers or symbol == "X":
                raise ValueError(f"potcars names {symbol!r}, which is no chemical element")
            if potcar.split("_")[0].split(".")[0] != symbol:
                raise ValueError(f"potcars gives {symbol} the data set {potcar!r}; its name must begin with {symbol}")
        return self

    def incar_tags(self) -> dict[str, Any]:
        """INCAR tags of the level, in VASP's names.

        Examples
        --------
        >>> from lipsdb.dft.levels_of_theory import find_level
        >>> level = VaspLevel.model_validate(find_level("grain-boundaries").asked.settings)
        >>> level.incar_tags()["ENCUT"], level.incar_tags()["GGA"]
        (520.0, 'BO')
        """
        return {
            "ENCUT": self.encut_eV,
            "EDIFF": self.ediff_eV,
            "ISMEAR": self.ismear,
            "SIGMA": self.sigma_eV,
            "PREC": self.precision,
            "LREAL": self.lreal,
            "ADDGRID": self.addgrid,
            "LASPH": self.lasph,
            "ISPIN": self.ispin,
            "ISYM": self.isym,
            **self.functional_tags,
        }
