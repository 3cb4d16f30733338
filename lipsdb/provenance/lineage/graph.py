"""A lineage as a graph: documents, groups of them, and who was made from whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from lipsdb.provenance.kinds import falls_with

Direction = Literal["up", "down"]
State = Literal["present", "external", "missing", "changed"]


@dataclass(frozen=True)
class Node:
    """A document in a lineage.

    Attributes
    ----------
    id, kind : str
    summary : str
        One line for people.
    content : str or None
        Its content hash now; for a document that is elsewhere the one that was noted; None if it is missing.
    state : str
        'present'; 'external' (an input of an adopted document, not in this database); 'missing'; or 'changed' (the
        content is not the one that a consumer recorded).
    group : str
        What it is counted under where thousands stand together: a label's system.
    level_of_theory : str
        Name of a label's level of theory.
    standing : str
        'withdrawn', 'tainted' (it stands on something that is withdrawn), or empty.
    """

    id: str
    kind: str
    summary: str
    content: str | None
    state: State
    group: str = ""
    level_of_theory: str = ""
    standing: str = ""


@dataclass(frozen=True)
class Group:
    """Documents that are counted together: the labels of a dataset, the runs they came from, all results of a kind.

    Attributes
    ----------
    name : str
        What edges call it: 'labels of ID', 'runs of labels of ID', 'run' …
    what : str
        'label', another kind, or (downstream) the name of a property.
    n : int
        How many documents they are.
    systems, levels_of_theory : dict
        How many labels of each; those that are not in this database are in neither.
    states : dict
        How many are 'external', 'missing', 'changed', 'withdrawn' and, downstream, 'tainted'.
    members : dict
        Id to the content hash that was recorded, where each was looked at.
    odd : dict
        Of the members that are not present as they were recorded, id to content hash now and state.
    tainted : bool
        Whether any of them stands on something that is withdrawn.
    """

    name: str
    what: str
    n: int
    systems: Mapping[str, int] = field(default_factory=dict)
    levels_of_theory: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, int] = field(default_factory=dict)
    members: Mapping[str, str] = field(default_factory=dict)
    odd: Mapping[str, tuple[str | None, State]] = field(default_factory=dict)
    tainted: bool = False


@dataclass(frozen=True)
class Edge:
    """`target` was made from `source`, in a role, when its content hash was `content`; either may be a group."""

    source: str
    target: str
    role: str
    content: str


@dataclass(frozen=True)
class Lineage:
    """The graph upstream ('up') or downstream ('down') of one document."""

    root: str
    direction: Direction
    nodes: dict[str, Node]
    edges: list[Edge]
    groups: dict[str, Group] = field(default_factory=dict)

    @property
    def states(self) -> dict[str, State]:
        """The state of each single document, in a group or not; a damaged one's comes before another's word of it."""
        found: dict[str, State] = {}
        for group in self.groups.values():
            found |= dict.fromkeys(group.members.keys() - found.keys(), "present")
            found |= {id_: state for id_, (_, state) in group.odd.items()}
        return found | {id_: node.state for id_, node in self.nodes.items()}

    def with_taint(self) -> Lineage:
        """The same, with what was made from something withdrawn or tainted marked as tainted."""
        made: dict[str, list[str]] = {}
        for edge in self.edges:
            if falls_with(self._kind_of(edge.target), edge.role):
                made.setdefault(edge.source, []).append(edge.target)
        frontier = [id_ for id_, node in self.nodes.items() if node.standing]
        frontier += [name for name, group in self.groups.items() if group.states.get("withdrawn")]
        if not frontier:
            return self
        reached: set[str] = set()
        while frontier:
            fresh = set(made.get(frontier.pop(), ())) - reached
            reached |= fresh
            frontier += fresh
        nodes = {
            id_: replace(node, standing=node.standing or "tainted") if id_ in reached else node
            for id_, node in self.nodes.items()
        }
        groups = {name: replace(group, tainted=name in reached) for name, group in self.groups.items()}
        return replace(self, nodes=nodes, groups=groups)

    def _kind_of(self, name: str) -> str:
        """The kind of a document, or of those in a group."""
        group = self.groups.get(name)
        return name.partition("-")[0] if group is None else group.what

    def part(self, root: str) -> Lineage:
        """What of it is reached from one of its documents."""
        around: dict[str, list[Edge]] = {}
        for edge in self.edges:
            around.setdefault(edge.target if self.direction == "up" else edge.source, []).append(edge)
        reached, edges, frontier = {root}, [], [root]
        while frontier:
            for edge in around.get(frontier.pop(), []):
                edges.append(edge)
                there = edge.source if self.direction == "up" else edge.target
                if there not in reached:
                    reached.add(there)
                    frontier.append(there)
        nodes = {id_: node for id_, node in self.nodes.items() if id_ in reached}
        groups = {name: group for name, group in self.groups.items() if name in reached}
        return Lineage(root, self.direction, nodes, edges, groups)
