"""A lineage as a picture (SVG): boxes in layers, inputs on the left, what was made from them on the right."""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lipsdb.provenance.lineage.views import colour_of, note_of, text_of

if TYPE_CHECKING:
    from igraph import Graph

    from lipsdb.provenance.lineage.graph import Lineage

# pixels
_WIDTH, _GAP_X, _GAP_Y, _MARGIN, _PADDING = 270, 120, 20, 20, 8
_LINE, _SMALL, _LANE = 16, 15, 6
_CHARACTERS = 38  # in a line of a box

_STYLE = (
    "text{font:13px Helvetica,Arial,sans-serif;fill:#111}"
    ".id{font:10.5px monospace;fill:#555}.role{font:11px Helvetica,Arial,sans-serif;fill:#555}"
    "rect.box{fill:#fff;stroke-width:1.3}path{fill:none;stroke:#777;stroke-width:1.1}"
)
_ARROWHEAD = (
    '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 1L9 5L0 9z" style="fill:#777;stroke:none"/></marker></defs>'
    '<rect width="100%" height="100%" fill="#fff"/>'
)

Arrow = tuple[str, str, str]  # source, target, role


def as_svg(lineage: Lineage) -> str:
    """A lineage as SVG text, arrows from input to product; documents that are counted together are one round box.

    Positions are those of Sugiyama's layered layout, by igraph.

    References
    ----------
    K. Sugiyama, S. Tagawa, M. Toda, IEEE Trans. Syst. Man Cybern. 11, 109 (1981), doi 10.1109/TSMC.1981.4308636.
    """
    picture = _Picture(lineage)
    width = max(x for x, _ in picture.places.values()) + _WIDTH + _MARGIN
    height = max(y + picture.heights[name] for name, (_, y) in picture.places.items()) + _MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{_STYLE}</style>{_ARROWHEAD}'
    return "\n".join([head, *picture.arrows(), *picture.boxes(), *picture.roles(), "</svg>"]) + "\n"


@dataclass
class _Picture:
    """Where everything stands."""

    lineage: Lineage
    names: list[str] = field(init=False)
    lines: dict[str, list[str]] = field(init=False)
    heights: dict[str, int] = field(init=False)
    places: dict[str, tuple[float, float]] = field(init=False)  # upper left corners
    lanes: dict[tuple[str, str], list[tuple[float, float]]] = field(init=False)  # of arrows across layers

    def __post_init__(self) -> None:
        self.names = [*sorted(self.lineage.nodes), *sorted(self.lineage.groups)]
        self.lines = {name: self._text(name) for name in self.names}
        self.heights = {
            name: len(lines) * _LINE + _SMALL * (name in self.lineage.nodes) + 2 * _PADDING
            for name, lines in self.lines.items()
        }
        self.edges: list[Arrow] = list(dict.fromkeys((one.source, one.target, one.role) for one in self.lineage.edges))
        self._lay_out()

    def _text(self, name: str) -> list[str]:
        node = self.lineage.nodes.get(name)
        return textwrap.wrap(text_of(self.lineage, name) + ("" if node is None else note_of(node)), _CHARACTERS)

    def _lay_out(self) -> None:
        """Layer by layer, in igraph's order within the layer, centred; arrows that cross a layer get a lane in it."""
        import igraph

        number = {name: index for index, name in enumerate(self.names)}
        pairs = list(dict.fromkeys((source, target) for source, target, _ in self.edges))
        graph = igraph.Graph(n=len(self.names), edges=[(number[a], number[b]) for a, b in pairs], directed=True)
        found = graph.layout_sugiyama(layers=self._layers(graph, number[self.lineage.root]))
        layers: dict[int, list[tuple[float, int, str | tuple[str, str]]]] = {}
        for index, (across, along) in enumerate(found.coords):
            layers.setdefault(round(along), []).append((across, index, self.names[index]))
        for pair, points in zip(pairs, found.edge_routing, strict=True):
            for across, along in points:
                layers.setdefault(round(along), []).append((across, -1, pair))
        columns = [sorted(layers[key], key=lambda one: one[:2]) for key in sorted(layers)]
        sizes = [[self.heights[one] if isinstance(one, str) else _LANE for *_, one in column] for column in columns]
        tallest = max(sum(size + _GAP_Y for size in some) for some in sizes)
        self.places, self.lanes = {}, {}
        for column, (layer, some) in enumerate(zip(columns, sizes, strict=True)):
            x = _MARGIN + column * (_WIDTH + _GAP_X)
            y = 3 * _MARGIN + (tallest - sum(size + _GAP_Y for size in some)) / 2
            for (*_, one), size in zip(layer, some, strict=True):
                if isinstance(one, str):
                    self.places[one] = (x, y)
                else:
                    self.lanes.setdefault(one, []).append((x, y + size / 2))
                y += size + _GAP_Y

    def _layers(self, graph: Graph, root: int) -> list[int] | None:
        """By distance from the root where the picture has cycles (kinds of documents, counted); igraph's otherwise."""
        if graph.is_dag():
            return None
        down = self.lineage.direction == "down"
        distances = [int(one) for one in graph.distances(source=root, mode="out" if down else "in")[0]]
        return distances if down else [max(distances) - one for one in distances]

    def _ports(self) -> dict[tuple[str, str], tuple[float, float]]:
        """Where arrows arrive, one place for each role."""
        sources: dict[str, dict[str, list[float]]] = {}
        for source, target, role in self.edges:
            sources.setdefault(target, {}).setdefault(role, []).append(self.places[source][1])
        ports = {}
        for target, roles in sources.items():
            (x, y), height = self.places[target], self.heights[target]
            ordered = sorted(roles, key=lambda role: sum(roles[role]) / len(roles[role]))
            for index, role in enumerate(ordered):
                ports[target, role] = (x, y + height * (index + 1) / (len(ordered) + 1))
        return ports

    def arrows(self) -> list[str]:
        """Curves between boxes, straight in their lanes."""
        ports, paths = self._ports(), []
        for source, target, role in self.edges:
            x, y = self.places[source]
            if x >= self.places[target][0]:
                paths.append(_arch(x, y, *self.places[target]))
                continue
            x, y = x + _WIDTH, y + self.heights[source] / 2
            path = f"M{x:.0f} {y:.0f}"
            for lane_x, lane_y in sorted(self.lanes.get((source, target), [])):
                path += f"{_curve(x, y, lane_x, lane_y)}H{lane_x + _WIDTH:.0f}"
                x, y = lane_x + _WIDTH, lane_y
            paths.append(f'<path d="{path}{_curve(x, y, *ports[target, role])}" marker-end="url(#arrow)"/>')
        return paths

    def roles(self) -> list[str]:
        """Each role where its arrows arrive."""
        return [
            f'<text class="role" x="{x - 10:.0f}" y="{y - 4:.0f}" text-anchor="end">{html.escape(role)}</text>'
            for (_, role), (x, y) in self._ports().items()
            if role
        ]

    def boxes(self) -> list[str]:
        """Each document or group with its line and its id."""
        parts = []
        for name in self.names:
            (x, y), height = self.places[name], self.heights[name]
            weight = ' style="stroke-width:2.5"' if name == self.lineage.root else ""
            corner = 3 if name in self.lineage.nodes else 12
            parts.append(
                f'<rect class="box" x="{x:.0f}" y="{y:.0f}" width="{_WIDTH}" height="{height}" rx="{corner}" '
                f'stroke="{colour_of(self.lineage, name)}"{weight}/>'
            )
            for index, line in enumerate(self.lines[name]):
                baseline = y + _PADDING + 12 + index * _LINE
                parts.append(f'<text x="{x + _PADDING:.0f}" y="{baseline:.0f}">{html.escape(line)}</text>')
            if name in self.lineage.nodes:
                bottom = y + height - _PADDING
                parts.append(f'<text class="id" x="{x + _PADDING:.0f}" y="{bottom:.0f}">{html.escape(name)}</text>')
        return parts


def _arch(x0: float, y0: float, x1: float, y1: float) -> str:
    """An arrow that goes back, from the top of a box over all between to the top of another."""
    x0, x1, top = x0 + _WIDTH * 0.5, x1 + _WIDTH * (0.5 if x1 < x0 else 0.7), max(0.0, min(y0, y1) - 2 * _MARGIN)
    path = f"M{x0:.0f} {y0:.0f}C{x0:.0f} {top:.0f} {x1:.0f} {top:.0f} {x1:.0f} {y1:.0f}"
    return f'<path d="{path}" marker-end="url(#arrow)"/>'


def _curve(x0: float, y0: float, x1: float, y1: float) -> str:
    bend = max(50.0, (x1 - x0) / 2)
    return f"C{x0 + bend:.0f} {y0:.0f} {x1 - bend:.0f} {y1:.0f} {x1:.0f} {y1:.0f}"
