"""Steps that make the contractions of moments: products of the components of smaller tensors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import combinations, product
from math import factorial, prod

from lipsdb.potentials.mtp.multigraphs import Graph, Matrix, first_of_equals, reordered

Powers = tuple[int, int, int]
# A tensor that is made of several moments: for each of them its radial function and the powers of its indices that are
# not contracted yet, and how many indices each pair of moments has contracted.
Vertex = tuple[int, Powers]
Component = tuple[tuple[Vertex, ...], Matrix]
Term = tuple[Component, Component]


@cache
def powers_of(rank: int) -> tuple[Powers, ...]:
    """Powers of x, y and z of the independent components of a symmetric tensor."""
    return tuple((a, b, rank - a - b) for a in range(rank, -1, -1) for b in range(rank - a, -1, -1))


@cache
def _multiplicity(powers: Powers) -> int:
    """How many components of a symmetric tensor are the one with these powers."""
    a, b, c = powers
    return factorial(a + b + c) // (factorial(a) * factorial(b) * factorial(c))


def component_of(graph: Graph) -> Component:
    """Return the scalar that a graph stands for: no index is left."""
    kinds, matrix = graph
    return _canonical([(mu, (0, 0, 0)) for mu, _ in kinds], matrix)


def _canonical(vertices: Sequence[Vertex], matrix: Matrix) -> Component:
    if len(vertices) < 3:
        return tuple(sorted(vertices)), matrix
    return _sorted_component(tuple(vertices), matrix)


@lru_cache(maxsize=100_000)
def _sorted_component(vertices: tuple[Vertex, ...], matrix: Matrix) -> Component:
    labels = [(vertex, tuple(sorted(row))) for vertex, row in zip(vertices, matrix, strict=True)]
    order = sorted(range(len(vertices)), key=labels.__getitem__)
    sorted_matrix = reordered(matrix, order)
    return tuple(vertices[i] for i in order), first_of_equals([labels[i] for i in order], sorted_matrix)


def _terms(component: Component, part: tuple[int, ...]) -> dict[Term, int]:
    """The component as a sum of products of a component of a part of its moments, and one of the rest."""
    vertices, matrix = component
    rest = tuple(vertex for vertex in range(len(vertices)) if vertex not in part)
    bundles = [(i, j, matrix[i][j]) for i in part for j in rest if matrix[i][j]]
    inner = [(side, reordered(matrix, side)) for side in (part, rest)]
    terms: dict[Term, int] = defaultdict(int)
    for chosen in product(*(powers_of(edges) for _, _, edges in bundles)):
        powers, multiplicity = [powers for _, powers in vertices], 1
        for (i, j, _), (a, b, c) in zip(bundles, chosen, strict=True):
            multiplicity *= _multiplicity((a, b, c))
            for vertex in (i, j):
                x, y, z = powers[vertex]
                powers[vertex] = (x + a, y + b, z + c)
        one, other = (_canonical([(vertices[i][0], powers[i]) for i in side], edges) for side, edges in inner)
        terms[(one, other) if one <= other else (other, one)] += multiplicity
    return terms


def _parts(n_vertices: int) -> Iterator[tuple[int, ...]]:
    """Parts of the vertices, one of each part and its rest."""
    for size in range(1, n_vertices // 2 + 1):
        for part in combinations(range(n_vertices), size):
            if 2 * size < n_vertices or 0 in part:
                yield part


class Steps:
    """The moments that there are so far, and the products that make them."""

    def __init__(self, basic: Sequence[Vertex]) -> None:
        self.products: list[tuple[int, int, int, int]] = []
        self.n_moments = len(basic)
        self._numbers: dict[Component, int] = {((moment,), ((0,),)): i for i, moment in enumerate(basic)}
        self._splits: dict[Component, tuple[int, tuple[int, ...]]] = {}
        self._begun: set[Component] = set()

    def moment(self, component: Component) -> int:
        """Number of the moment; made, with all that it needs, if it is new."""
        known = self._numbers.get(component)
        if known is not None:
            return known
        tensor = _tensor(component)
        _, part = self._split(tensor)
        self._begun.add(_canonical(*tensor))
        terms = _terms(component, part)
        number = self.sum_of_products(
            [(self.moment(one), self.moment(other), times) for (one, other), times in terms.items()]
        )
        self._numbers[component] = number
        return number

    def sum_of_products(self, terms: Sequence[tuple[int, int, int]]) -> int:
        """Number of the new moment that is this sum."""
        number = self.n_moments
        self.n_moments += 1
        self.products += [(one, other, times, number) for one, other, times in terms]
        return number

    def _split(self, tensor: Component) -> tuple[int, tuple[int, ...]]:
        """The part of the moments to split off that takes the fewest new products, and an estimate of these.

        It is kept: if it changed from one component of the tensor to the next, fewer of the parts were shared.
        """
        if tensor not in self._splits:
            choices = ((self._cost(tensor, part), part) for part in _parts(len(tensor[0])))
            self._splits[tensor] = min(choices, key=lambda choice: choice[0])
        return self._splits[tensor]

    def _cost(self, tensor: Component, part: tuple[int, ...]) -> int:
        n_terms, one, other = _factors(tensor, part)
        n_components = prod(len(powers_of(powers[2])) for _, powers in tensor[0])
        needed = {factor for factor in (one, other) if len(factor[0]) > 1} - self._begun
        return n_terms * n_components + sum(self._split(factor)[0] for factor in needed)


def _tensor(component: Component) -> Component:
    """The tensor of a component, told by its component with all free indices along z, in the same order."""
    vertices, matrix = component
    return tuple((mu, (0, 0, sum(powers))) for mu, powers in vertices), matrix


def _factors(tensor: Component, part: tuple[int, ...]) -> tuple[int, Component, Component]:
    """Products in a component of the tensor if a part is split off, and the tensors of that part and of the rest."""
    vertices, matrix = tensor
    rest = tuple(vertex for vertex in range(len(vertices)) if vertex not in part)
    n_terms = prod(len(powers_of(matrix[i][j])) for i in part for j in rest)

    def side(these: tuple[int, ...], others: tuple[int, ...]) -> Component:
        freed = [(vertices[i][0], (0, 0, vertices[i][1][2] + sum(matrix[i][j] for j in others))) for i in these]
        return _canonical(freed, reordered(matrix, these))

    return n_terms, side(part, rest), side(rest, part)
