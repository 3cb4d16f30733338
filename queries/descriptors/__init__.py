"""Descriptors of structure and dynamics: one table for each kind, and one module for each family."""

from __future__ import annotations

from lipsdb.queries.descriptors import dynamics, mechanics, order, regional, softness, space, structure, topology
from lipsdb.queries.descriptors.descriptor import Descriptor

__all__ = ["DESCRIPTORS", "Descriptor"]

_FAMILIES = (structure, order, space, dynamics, regional, softness, topology, mechanics)
DESCRIPTORS: tuple[Descriptor, ...] = tuple(one for family in _FAMILIES for one in family.DESCRIPTORS)
