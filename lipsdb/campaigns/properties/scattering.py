"""Structure factors, as neutrons and X-rays see them, and the measured curves that they are compared with."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from lipsdb.campaigns.base import CampaignModel, Element, Positive, Text, Unique
from lipsdb.campaigns.problems import did_you_mean
from lipsdb.campaigns.properties.of_run import OfRun
from lipsdb.campaigns.yaml_file import YamlPath
from lipsdb.errors import BadInputError

Radiation = Literal["neutron", "xray"]
_OF_METHOD = {"direct": ("seed", "vectors_per_shell"), "fourier": ("window",)}


class MeasuredCurve(CampaignModel):
    """A structure factor from an experiment."""

    file: Text = Field(
        description="two columns, Q in 1/Å and the value; # starts a comment; path relative to the campaign file",
        json_schema_extra={"path_to": "file"},
    )
    name: Text | None = Field(
        default=None, description="what tables and figures call it; the file's name without ending if left out"
    )
    radiation: Radiation = Field(description="what was scattered: neutron or xray")
    form: Literal["S", "S-1", "Q(S-1)", "interference"] = Field(
        description="what the values are: S (1 at large Q), S-1, Q(S-1) in 1/Å, or the interference function, which is "
        "not divided by (Σ c w)², in fm² (neutron; 100 fm² are 1 barn) or electrons² (xray) an atom"
    )
    from_per_A: Positive | None = Field(
        default=None,
        description="smallest Q compared, 1/Å; at least, and if left out, the smallest that both curves have",
    )
    to_per_A: Positive | None = Field(
        default=None, description="largest Q compared, 1/Å; at most, and if left out, the largest that both curves have"
    )

    @model_validator(mode="after")
    def _range_in_order(self) -> MeasuredCurve:
        if self.from_per_A is not None and self.to_per_A is not None and self.from_per_A >= self.to_per_A:
            raise ValueError(f"must have from_per_A ({self.from_per_A:g}) below to_per_A ({self.to_per_A:g})")
        return self

    def read(self, folder: Path, q_max_per_A: float) -> tuple[list[float], list[float]]:
        """Q (1/Å) and values of the file; `folder` is the campaign file's, `q_max_per_A` the largest Q computed.

        Raises
        ------
        BadInputError
            If it is not two columns of numbers, with at least two points in the range that is compared.
        """
        q, values = read_two_columns(folder / self.file)
        first, last = self.from_per_A or 0.0, min(self.to_per_A or math.inf, q_max_per_A)
        within = sum(first <= one <= last for one in q)
        if within < 2:
            raise BadInputError(
                f"{self.file} has {within} points from {first:g} to {last:g} 1/Å, its Q go from {min(q):g} to "
                f"{max(q):g} 1/Å: {'divide them by 10 if they are in 1/nm, or ' * (min(q) > q_max_per_A)}give a range "
                "with two points or more, up to q_max_per_A"
            )
        return q, values


def read_two_columns(path: Path) -> tuple[list[float], list[float]]:
    """Q (1/Å) and values from a text file.

    Raises
    ------
    BadInputError
        Naming the line, if it is not two numbers, or Q is not positive; or if the file has no such line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise BadInputError(
            f"cannot read {path} ({reason}): give a text file with two columns, Q and the value"
        ) from error
    points = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        try:
            q, value = map(float, words)
        except ValueError:
            q = value = math.nan
        if not (math.isfinite(q) and math.isfinite(value) and q > 0):
            raise BadInputError(
                f"{path}:{number}: received {line.strip()[:60]!r}: each line must have two numbers, Q (1/Å, above 0) "
                "and the value, or a comment that starts with #"
            )
        points.append((q, value))
    if not points:
        raise BadInputError(f"{path} has no points: give lines of two numbers, Q in 1/Å and the value")
    return [q for q, _ in points], [value for _, value in points]


class StructureFactor(OfRun):
    """Partial structure factors, what neutrons and X-rays see of them, and how far that is from experiments."""

    kind: Literal["structure_factor"] = Field(description="structure_factor")
    method: Literal["direct", "fourier"] = Field(
        default="direct",
        description="direct: from the wave vectors of the cell, exact in cells of any size; fourier: from g(r), which "
        "blurs S(Q) by 5 / (half the cell's width)",
    )
    n_snapshots: int = Field(
        default=40,
        ge=1,
        description="frames that are looked at, evenly over the run; all if it has fewer; one of 10⁴ atoms takes about "
        "3 s with direct; no unit",
    )
    q_max_per_A: float = Field(default=15.0, gt=0, le=25, description="largest Q, 1/Å")
    dq_per_A: Positive = Field(default=0.05, description="width of the shells in Q, 1/Å")
    vectors_per_shell: int = Field(
        default=100, ge=1, description="most wave vectors of a shell, chosen by seed; only for direct; no unit"
    )
    seed: int = Field(default=1, ge=0, description="chooses the wave vectors; only for direct; no unit")
    window: Literal["lorch", "none"] = Field(
        default="lorch", description="lorch damps the ripples from the end of g(r); only for fourier"
    )
    radiations: Annotated[list[Radiation], Unique, AfterValidator(sorted)] = Field(
        default=["neutron", "xray"], min_length=1, description="what is scattered: neutron, xray"
    )
    scattering_lengths_fm: dict[Element, float] = Field(
        default={}, description="coherent scattering lengths instead of the natural element's, fm: {Li: -2.22} for 7Li"
    )
    experiments: list[MeasuredCurve] = Field(default=[], description="measured curves to compare with")

    @model_validator(mode="after")
    def _consistent(self) -> StructureFactor:
        limit = f"q_max_per_A ({self.q_max_per_A:g})"
        if self.dq_per_A > self.q_max_per_A:
            raise ValueError(f"must have dq_per_A ({self.dq_per_A:g}) no larger than {limit}")
        for curve in self.experiments:
            if curve.radiation not in self.radiations:
                raise ValueError(f"must have {curve.radiation} in radiations, since there is an experiment with it")
            if curve.to_per_A is not None and curve.to_per_A > self.q_max_per_A:
                raise ValueError(f"must have to_per_A of an experiment ({curve.to_per_A:g}) no larger than {limit}")
        return self

    def parameters(self, folder: Path = Path()) -> dict[str, Any]:
        """What changes the answer, complete: of an experiment its points, not where its file is."""
        other = {field for method, fields in _OF_METHOD.items() if method != self.method for field in fields}
        experiments = []
        for curve in self.experiments:
            q, values = curve.read(folder, self.q_max_per_A)
            settings = curve.model_dump(mode="json", exclude={"file"})
            name = curve.name or Path(curve.file).stem
            experiments.append(settings | {"name": name, "q_per_A": q, "values": values})
        settings = self.model_dump(mode="json", exclude={"kind", "of", "experiments", *other})
        return settings | {"experiments": experiments}

    def problems(self, elements: Collection[str] | None, folder: Path | None) -> Iterator[tuple[YamlPath, str]]:
        """Elements that are not there or how they scatter is not known; files that are not curves."""
        if elements is not None:
            yield from self._problems_of_elements(sorted(elements))
        if folder is not None:
            for i, curve in enumerate(self.experiments):
                try:
                    curve.read(folder, self.q_max_per_A)
                except BadInputError as error:
                    yield ("experiments", i, "file"), str(error)

    def _problems_of_elements(self, elements: Sequence[str]) -> Iterator[tuple[YamlPath, str]]:
        from lipsdb.analysis.scattering_tables import FORM_FACTORS, scattering_lengths

        for name in self.scattering_lengths_fm:
            if name not in elements:
                meant = did_you_mean(name, elements)
                yield ("scattering_lengths_fm", name), f"received {name!r}, not in the structure{meant}"
        try:
            scattering_lengths(tuple(elements), self.scattering_lengths_fm)
        except BadInputError as error:
            if "neutron" in self.radiations:
                yield ("scattering_lengths_fm",), str(error)
        missing = [name for name in elements if name not in FORM_FACTORS]
        if "xray" in self.radiations and missing:
            reason = f"there is no form factor of {', '.join(missing)} in the table ({', '.join(FORM_FACTORS)})"
            yield ("radiations",), f"{reason}: give radiations: [neutron]"
