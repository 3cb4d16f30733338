"""How a lineage is shown: as a tree on the terminal, as JSON, as Graphviz text, as foldable HTML."""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.tree import Tree

    from lipsdb.provenance.lineage import Edge, Lineage, Node

_ALONE = 8  # so many labels of one document stand alone, more are counted by system
_DAMAGED_SHOWN = 20
_STATES = {
    "present": "",
    "external": "not in this database",
    "missing": "MISSING",
    "changed": "CHANGED since it was used",
}
_COLOURS = {"present": "black", "external": "gray50", "missing": "red", "changed": "red"}


@dataclass
class Branch:
    """One line of a tree: a document, or many labels counted together."""

    text: str
    id: str = ""
    role: str = ""
    state: str = "present"
    repeated: bool = False  # its own branches were shown before
    branches: list[Branch] = field(default_factory=list)


def outline(lineage: Lineage) -> Branch:
    """Arrange a lineage as a tree from its root; what hangs on several branches is unfolded at the first."""
    around: dict[str, list[tuple[str, str]]] = {}
    for edge in lineage.edges:
        here, there = (edge.target, edge.source) if lineage.direction == "up" else (edge.source, edge.target)
        around.setdefault(here, []).append((edge.role, there))
    return _branch(lineage, around, "", lineage.root, set())


def _branch(lineage: Lineage, around: dict[str, list[tuple[str, str]]], role: str, id_: str, shown: set[str]) -> Branch:
    node = lineage.nodes[id_]
    branch = Branch(node.summary, id_, role, node.state)
    next_ones = _next(lineage, around, [id_])
    if id_ in shown:
        branch.repeated = bool(next_ones)
        return branch
    shown.add(id_)
    # a label's own line names its level of theory; the level is unfolded at the first of them
    level_shown = {there for _, there in next_ones if node.kind == "label" and there in shown and _is_level(there)}
    _grow(branch, lineage, around, [(role, there) for role, there in next_ones if there not in level_shown], shown)
    return branch


def _is_level(id_: str) -> bool:
    return id_.startswith("level_of_theory-")


def _grow(
    branch: Branch,
    lineage: Lineage,
    around: dict[str, list[tuple[str, str]]],
    next_ones: list[tuple[str, str]],
    shown: set[str],
) -> None:
    """Add what comes next to a branch, many labels counted together."""
    labels = {there for _, there in next_ones if lineage.nodes[there].kind == "label"}
    together = labels if len(labels) > _ALONE else set()
    if together:
        branch.branches.append(_counted(lineage, around, sorted(together), shown))
    for role, there in next_ones:
        if there not in together:
            branch.branches.append(_branch(lineage, around, role, there, shown))


def _next(lineage: Lineage, around: dict[str, list[tuple[str, str]]], ids: list[str]) -> list[tuple[str, str]]:
    following = {(role, there) for id_ in ids for role, there in around.get(id_, [])}
    return sorted(following, key=lambda pair: (pair[0], lineage.nodes[pair[1]].summary, pair[1]))


def _counted(lineage: Lineage, around: dict[str, list[tuple[str, str]]], labels: list[str], shown: set[str]) -> Branch:
    nodes = [lineage.nodes[id_] for id_ in labels]
    damaged = [node for node in nodes if node.state in {"missing", "changed"}]
    branch = Branch(_count_text(nodes), state=damaged[0].state if damaged else "present")
    branch.branches = [Branch(node.summary, node.id, "label", node.state) for node in damaged[:_DAMAGED_SHOWN]]
    shown.update(labels)
    _grow(branch, lineage, around, [pair for pair in _next(lineage, around, labels) if pair[1] not in shown], shown)
    return branch


def _count_text(nodes: list[Node]) -> str:
    """As '6407 labels, level of theory disorder: 950 beta-Li3PS4, 700 gamma-Li3PS4, 3 missing'."""
    levels = Counter(node.level_of_theory for node in nodes if node.level_of_theory)
    named = f", level of theory {min(levels)}" if len(levels) == 1 else ""
    if len(levels) > 1:
        named = ", levels of theory " + " and ".join(f"{name} ({levels[name]})" for name in sorted(levels))
    systems = Counter(node.group for node in nodes if node.group)
    states: Counter[str] = Counter(node.state for node in nodes)
    parts = [f"{number} {system}" for system, number in sorted(systems.items(), key=lambda item: (-item[1], item[0]))]
    names = {"external": "not in this database", "missing": "missing", "changed": "changed"}
    parts += [f"{states[state]} {text}" for state, text in names.items() if states[state]]
    return f"{len(nodes)} labels{named}: " + ", ".join(parts)


def _line(branch: Branch) -> str:
    state = f" ({_STATES[branch.state]})" if branch.id and _STATES[branch.state] else ""
    return f"{branch.text}{state}{' (unfolded above)' if branch.repeated else ''}"


def as_tree(lineage: Lineage) -> Tree:
    """A lineage as a tree for the terminal (`rich.print`); labels of a dataset are counted by system."""
    from rich.text import Text
    from rich.tree import Tree

    styles = {"present": "", "external": "dim", "missing": "bold red", "changed": "bold red"}

    def grow(branch: Branch, tree: Tree) -> Tree:
        for twig in branch.branches:
            grow(twig, tree.add(line(twig)))
        return tree

    def line(branch: Branch) -> Text:
        text = Text(_line(branch), style=styles[branch.state])
        return text.append(f"  {branch.id}", style="dim") if branch.id else text

    root = outline(lineage)
    return grow(root, Tree(line(root)))


def as_json(lineage: Lineage) -> dict[str, Any]:
    """A lineage with every node and edge, ready for `json.dumps`."""
    return {
        "root": lineage.root,
        "direction": lineage.direction,
        "nodes": [asdict(lineage.nodes[id_]) for id_ in sorted(lineage.nodes)],
        "edges": [asdict(edge) for edge in lineage.edges],
    }


def as_dot(lineage: Lineage) -> str:
    """A lineage as Graphviz text, arrows from input to product; labels of a dataset are counted in one node."""
    lines = ["digraph lineage {", "  rankdir=LR;", "  node [shape=box, fontname=Helvetica];"]
    together = _counted_in_dot(lineage)
    counted = {id_ for ids in together.values() for id_ in ids}
    for id_, node in sorted(lineage.nodes.items()):
        if id_ not in counted:
            note = f" ({_STATES[node.state]})" if _STATES[node.state] else ""
            label = json.dumps(f"{node.summary}{note}\n{id_}", ensure_ascii=False)
            lines.append(f'  "{_plain(id_)}" [label={label}, color={_COLOURS[node.state]}];')
    for other, ids in together.items():
        label = json.dumps(_count_text([lineage.nodes[id_] for id_ in ids]), ensure_ascii=False)
        lines.append(f'  "labels of {_plain(other)}" [label={label}];')
    lines += sorted({f"  {arrow};" for arrow in _arrows(lineage, together)})
    return "\n".join([*lines, "}"]) + "\n"


def _plain(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _counted_in_dot(lineage: Lineage) -> dict[str, list[str]]:
    """For each document made from many labels, or of which many labels were made: those labels."""
    used: dict[str, list[str]] = {}
    for edge in lineage.edges:
        if lineage.nodes[edge.source].kind == "label" and edge.source != lineage.root:
            used.setdefault(edge.target, []).append(edge.source)
    together = {target: sorted(ids) for target, ids in used.items() if len(ids) > _ALONE}
    counted = {lineage.root, *(id_ for ids in together.values() for id_ in ids)}
    made: dict[str, list[str]] = {}
    for edge in lineage.edges:
        if lineage.nodes[edge.target].kind == "label" and edge.target not in counted:
            made.setdefault(edge.source, []).append(edge.target)
    many = {source: sorted(ids) for source, ids in made.items() if len(ids) > _ALONE}
    return many | together


def _arrows(lineage: Lineage, together: dict[str, list[str]]) -> Iterator[str]:
    members: dict[str, list[str]] = {}
    for target, ids in together.items():
        for id_ in ids:
            members.setdefault(id_, []).append(target)
    for edge in lineage.edges:
        yield from _arrows_of(edge, members)


def _arrows_of(edge: Edge, members: dict[str, list[str]]) -> Iterator[str]:
    role = json.dumps(edge.role, ensure_ascii=False)
    if edge.target in members.get(edge.source, []):
        yield f'"labels of {_plain(edge.target)}" -> "{_plain(edge.target)}" [label={role}]'
        return
    for target in [f"labels of {other}" for other in members.get(edge.target, [])] or [edge.target]:
        for source in [f"labels of {other}" for other in members.get(edge.source, [])] or [edge.source]:
            yield f'"{_plain(source)}" -> "{_plain(target)}" [label={role}]'


def as_html(lineage: Lineage) -> str:
    """A lineage as nested ``<details>`` with the class ``lineage``, folded; needs no script or style."""

    def line(branch: Branch) -> str:
        text = html.escape(_line(branch))
        if branch.state in {"missing", "changed"}:
            text = f"<strong>{text}</strong>"
        return f"{text} <code>{html.escape(branch.id)}</code>" if branch.id else text

    def item(branch: Branch, css: str) -> str:
        if not branch.branches:
            return f'<div class="{css}">{line(branch)}</div>'
        inner = "".join(f"<li>{item(twig, css)}</li>" for twig in branch.branches)
        return f'<details class="{css}"><summary>{line(branch)}</summary><ul>{inner}</ul></details>'

    return item(outline(lineage), "lineage")
