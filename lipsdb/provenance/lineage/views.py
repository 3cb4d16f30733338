"""How a lineage is shown: as a tree on the terminal, as JSON, as Graphviz text, as foldable HTML."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.lineage.members import contents_of_all

if TYPE_CHECKING:
    from rich.tree import Tree

    from lipsdb.provenance.lineage.graph import Group, Lineage, Node

_DAMAGED_SHOWN = 20
_STATES = {
    "present": "",
    "external": "not in this database",
    "missing": "MISSING",
    "changed": "CHANGED since it was used",
}
_COUNTED = {"external": "not in this database"} | {
    state: state for state in ("missing", "changed", "withdrawn", "tainted")
}
_COLOURS = {"present": "black", "external": "gray50", "missing": "red", "changed": "red"}
_DAMAGED = frozenset({"missing", "changed"})
_STANDING_COLOURS = {"withdrawn": "red", "tainted": "darkorange"}


@dataclass
class Branch:
    """One line of a tree: a document, or many counted together."""

    text: str
    id: str = ""
    role: str = ""
    state: str = "present"
    standing: str = ""
    repeated: bool = False  # its own branches were shown before
    branches: list[Branch] = field(default_factory=list)


def outline(lineage: Lineage) -> Branch:
    """Arrange a lineage as a tree from its root; what hangs on several branches is unfolded at the first."""
    around: dict[str, set[tuple[str, str]]] = {}
    for edge in lineage.edges:
        here, there = (edge.target, edge.source) if lineage.direction == "up" else (edge.source, edge.target)
        around.setdefault(here, set()).add((edge.role, there))
    return _branch(lineage, around, "", lineage.root, set())


def _branch(lineage: Lineage, around: dict[str, set[tuple[str, str]]], role: str, name: str, shown: set[str]) -> Branch:
    following = sorted(around.get(name, ()), key=lambda pair: (pair[0], text_of(lineage, pair[1]), pair[1]))
    group, node = lineage.groups.get(name), lineage.nodes.get(name)
    if node is not None:
        branch = Branch(node.summary, name, role, node.state, node.standing)
    else:
        branch = Branch(text_of(lineage, name), role=role, state=_worst(group) if group is not None else "present")
    if name in shown:
        branch.repeated = bool(following)
        return branch
    shown.add(name)
    if group is not None:
        damaged = sorted((id_, state) for id_, (_, state) in group.odd.items() if state in _DAMAGED)
        branch.branches = [
            Branch(f"{group.what}: missing" if state == "missing" else group.what, id_, role, state)
            for id_, state in damaged[:_DAMAGED_SHOWN]
        ]
    for next_role, there in following:
        # a label's own line names its level of theory; the level is unfolded at the first of them
        if not (node is not None and node.kind == "label" and there in shown and _is_level(there)):
            branch.branches.append(_branch(lineage, around, next_role, there, shown))
    return branch


def _is_level(id_: str) -> bool:
    return id_.startswith("level_of_theory-")


def _worst(group: Group) -> str:
    return next((state for state in ("missing", "changed") if group.states.get(state)), "present")


def text_of(lineage: Lineage, name: str) -> str:
    """One line about a document, or about documents that are counted together.

    For labels as '6407 labels, level of theory disorder: 950 beta-Li3PS4, 700 gamma-Li3PS4, 3 missing'.
    """
    if name in lineage.nodes:
        return lineage.nodes[name].summary
    group = lineage.groups[name]
    levels = {level: n for level, n in group.levels_of_theory.items() if level}
    named = f", level of theory {min(levels)}" if len(levels) == 1 else ""
    if len(levels) > 1:
        named = ", levels of theory " + " and ".join(f"{level} ({levels[level]})" for level in sorted(levels))
    systems = sorted(group.systems.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{n} {system}" for system, n in systems if system]
    parts += [f"{group.states[state]} {text}" for state, text in _COUNTED.items() if group.states.get(state)]
    parts += ["some tainted"] if group.tainted else []
    what = COLLECTIONS.get(group.what, group.what) if group.n > 1 else group.what
    return f"{group.n} {what}{named}{': ' if parts else ''}{', '.join(parts)}"


def note_of(node: Node | Branch) -> str:
    """What is to be known of a document's state, in brackets; empty if nothing is."""
    notes = [note for note in (_STATES[node.state], node.standing) if note]
    return f" ({', '.join(notes)})" if notes and node.id else ""


def _line(branch: Branch) -> str:
    return f"{branch.text}{note_of(branch)}{' (unfolded above)' if branch.repeated else ''}"


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
        style = styles[branch.state] or {"withdrawn": "bold red", "tainted": "yellow"}.get(branch.standing, "")
        text = Text(_line(branch), style=style)
        return text.append(f"  {branch.id}", style="dim") if branch.id else text

    root = outline(lineage)
    return grow(root, Tree(line(root)))


def as_json(lineage: Lineage) -> dict[str, Any]:
    """A lineage with every node, group and edge, ready for `json.dumps`.

    Groups have the ids of their `members`; `contents` has the content hash of each, as it was recorded, once for all
    groups, and `odd` the hash now and the state of those for which that no longer holds.
    """
    groups: list[dict[str, Any]] = []
    for name in sorted(lineage.groups):
        group = lineage.groups[name]
        counts = {"systems": group.systems, "levels_of_theory": group.levels_of_theory, "states": group.states}
        odd = {id_: {"content": content, "state": state} for id_, (content, state) in group.odd.items()}
        some = {"name": name, "what": group.what, "n": group.n, "tainted": group.tainted}
        groups.append({**some, **counts, "members": list(group.members), "odd": odd})
    return {
        "root": lineage.root,
        "direction": lineage.direction,
        "nodes": [vars(lineage.nodes[id_]) for id_ in sorted(lineage.nodes)],
        "groups": groups,
        "contents": contents_of_all(group.members for group in lineage.groups.values()),
        "edges": [vars(edge) for edge in lineage.edges],
    }


def colour_of(lineage: Lineage, name: str) -> str:
    """Colour of the frame around a document or a group."""
    if name in lineage.groups:
        group = lineage.groups[name]
        if _worst(group) != "present" or group.states.get("withdrawn"):
            return "red"
        return _STANDING_COLOURS["tainted"] if group.states.get("tainted") or group.tainted else "black"
    node = lineage.nodes[name]
    return _STANDING_COLOURS.get(node.standing, _COLOURS[node.state])


def as_dot(lineage: Lineage) -> str:
    """A lineage as Graphviz text, arrows from input to product; labels of a dataset are counted in one node."""
    lines = ["digraph lineage {", "  rankdir=LR;", "  node [shape=box, fontname=Helvetica];"]
    for name in [*sorted(lineage.nodes), *sorted(lineage.groups)]:
        node = lineage.nodes.get(name)
        text = text_of(lineage, name) + ("" if node is None else f"{note_of(node)}\n{name}")
        label = json.dumps(text, ensure_ascii=False)
        lines.append(f'  "{_plain(name)}" [label={label}, color={colour_of(lineage, name)}];')
    arrows = {(edge.source, edge.target, edge.role) for edge in lineage.edges}
    for source, target, role in sorted(arrows):
        label = f" [label={json.dumps(role, ensure_ascii=False)}]" if role else ""
        lines.append(f'  "{_plain(source)}" -> "{_plain(target)}"{label};')
    return "\n".join([*lines, "}"]) + "\n"


def _plain(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


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
