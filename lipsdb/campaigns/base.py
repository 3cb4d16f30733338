"""What all models of the campaign file share: strictness, names, elements, and marks that the loader reads.

Marks stand in a field's JSON schema: ``refers_to`` (the value is a name in that section of the file, optionally of an
entry whose ``kind`` is given), ``path_to`` (a path relative to the campaign file), ``is_element`` (a chemical symbol;
in a property, one of the structure its MD starts from). The loader checks them: a new model only has to carry the mark.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


class CampaignModel(BaseModel):
    """A mapping in the campaign file: no unknown keys, no conversion of types, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def reference(description: str, section: str, *, kind: str | None = None) -> Any:
    """Field that holds a name defined in `section` of the same file (of an entry of that `kind`, if given)."""
    mark = {"refers_to": section} if kind is None else {"refers_to": section, "refers_to_kind": kind}
    return Field(description=description, json_schema_extra=dict(mark))


def _known_element(symbol: str) -> str:
    """Refuse what is not the symbol of a chemical element."""
    from ase.data import atomic_numbers

    if symbol == "X" or symbol not in atomic_numbers:
        raise ValueError("must be the symbol of a chemical element, such as Li")
    return symbol


T = TypeVar("T")


def _unique(values: list[T]) -> list[T]:
    """Refuse a list that holds a value twice."""
    for i, value in enumerate(values):
        if value in values[:i]:
            raise ValueError(f"must not hold a value twice: {value}")
    return values


Unique = AfterValidator(_unique)
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Element = Annotated[str, AfterValidator(_known_element), Field(json_schema_extra={"is_element": True})]
Elements = Annotated[list[Element], Unique, AfterValidator(sorted), Field(min_length=1)]  # in any order
Positive = Annotated[float, Field(gt=0)]
Doi = Annotated[str, StringConstraints(pattern=r"^10\.\d{4,9}/\S+$")]
