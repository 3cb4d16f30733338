"""Multigraphs without loops, of moments as vertices: each is a way to contract them to a scalar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, permutations, product

MOST_MOMENTS = 4

# Its radial function and its number of indices.
Moment = tuple[int, int]
Matrix = tuple[tuple[int, ...], ...]
Graph = tuple[tuple[Moment, ...], Matrix]


def level_of(graph: Graph) -> int:
    """Sum of the levels 2 + 4μ + ν of the moments."""
    return sum(2 + 4 * mu + rank for mu, rank in graph[0])


def connected_graphs(level: int) -> Iterator[Graph]:
    """Multigraphs in one part, of one to four moments; each once, few moments and low levels first."""
    found: list[Graph] = []
    for kinds in _multisets(level):
        ranks = tuple(rank for _, rank in kinds)
        if sum(ranks) % 2 or (len(kinds) > 1 and 0 in ranks):
            continue
        matrices = (matrix for matrix in _edge_matrices(ranks) if _is_connected(matrix))
        found += [(kinds, matrix) for matrix in sorted({first_of_equals(kinds, matrix) for matrix in matrices})]
    yield from sorted(found, key=lambda graph: (len(graph[0]), level_of(graph), graph))


def _multisets(level: int, most: int = MOST_MOMENTS, least: Moment = (0, 0)) -> Iterator[tuple[Moment, ...]]:
    for mu in range(least[0], (level - 2) // 4 + 1):
        for rank in range(least[1] if mu == least[0] else 0, level - 2 - 4 * mu + 1):
            yield ((mu, rank),)
            if most > 1:
                for others in _multisets(level - 2 - 4 * mu - rank, most - 1, (mu, rank)):
                    yield ((mu, rank), *others)


def _edge_matrices(ranks: tuple[int, ...]) -> Iterator[Matrix]:
    """Symmetric matrices of edge counts without loops, with these row sums."""
    for upper in _upper_rows(ranks):
        yield tuple(
            tuple(0 if i == j else upper[min(i, j)][abs(i - j) - 1] for j in range(len(ranks)))
            for i in range(len(ranks))
        )


def _upper_rows(ranks: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], ...]]:
    if len(ranks) == 1:
        if ranks[0] == 0:
            yield ((),)
        return
    for row in product(*(range(min(ranks[0], rank) + 1) for rank in ranks[1:])):
        if sum(row) == ranks[0]:
            for others in _upper_rows(tuple(rank - edges for rank, edges in zip(ranks[1:], row, strict=True))):
                yield (row, *others)


def _is_connected(matrix: Matrix) -> bool:
    reached, ahead = {0}, [0]
    while ahead:
        near = {other for other, edges in enumerate(matrix[ahead.pop()]) if edges} - reached
        reached |= near
        ahead += near
    return len(reached) == len(matrix)


def reordered(matrix: Matrix, order: Sequence[int]) -> Matrix:
    """Rows and columns in this order; those not in it are left out."""
    return tuple(tuple(matrix[i][j] for j in order) for i in order)


def first_of_equals(labels: Sequence[object], matrix: Matrix) -> Matrix:
    """Of the matrices that differ by swaps of vertices with equal labels (which are sorted), the first."""
    if len(set(labels)) == len(labels):
        return matrix
    groups = [tuple(group) for _, group in groupby(range(len(labels)), key=lambda vertex: labels[vertex])]
    orders = product(*(permutations(group) for group in groups))
    return min(reordered(matrix, [vertex for group in order for vertex in group]) for order in orders)
