"""Which answers of a query are known facts: a sorted index, asked of many queries at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]


class KnownAnswers:
    """Sorted index from a query (head, relation) to its distinct answers.

    Attributes:
        keys: shape (facts,), head · 2|R| + relation of each fact, ascending.
        answers: shape (facts,), the tail of the same fact, ascending within a key.
    """

    def __init__(self, facts: Ids, num_entities: int, num_relations: int) -> None:
        """`facts`: shape (n, 3), queries with their answers; `num_relations`: 2|R|, with the reciprocals."""
        self.num_entities = num_entities
        self.num_relations = num_relations
        # Key and answer as one number: one sort, and one searchsorted to test a fact.
        self._facts: Ids = distinct(self._key(facts[:, 0], facts[:, 1]) * num_entities + facts[:, 2])
        self.keys: Ids = self._facts // num_entities
        self.answers: Ids = self._facts % num_entities
        for array in (self._facts, self.keys, self.answers):
            array.setflags(write=False)

    def ranges(self, heads: npt.ArrayLike, relations: npt.ArrayLike) -> tuple[Ids, Ids]:
        """Where the answers of each query stand: `answers[start[i]:stop[i]]`.

        `heads` and `relations` have one shape (they may broadcast), and so have both results.
        Raises IndexError for an id outside the graph.
        """
        keys = self._key(heads, relations)
        start, stop = (
            np.searchsorted(self.keys, keys, side="left"),
            np.searchsorted(self.keys, keys, side="right"),
        )
        return np.asarray(start, dtype=np.int64), np.asarray(stop, dtype=np.int64)

    def contains(
        self, heads: npt.ArrayLike, relations: npt.ArrayLike, tails: npt.ArrayLike
    ) -> npt.NDArray[np.bool_]:
        """Whether each (head, relation, tail) is a known fact; the arrays broadcast.

        Raises IndexError for an id outside the graph.
        """
        wanted = self._key(heads, relations) * self.num_entities + _ids(tails, self.num_entities)
        if not len(self._facts):
            return np.zeros(np.shape(wanted), dtype=np.bool_)
        place = np.minimum(np.searchsorted(self._facts, wanted), len(self._facts) - 1)
        return np.asarray(self._facts[place] == wanted, dtype=np.bool_)

    def __len__(self) -> int:
        return len(self._facts)

    def _key(self, heads: npt.ArrayLike, relations: npt.ArrayLike) -> Ids:
        key: Ids = _ids(heads, self.num_entities) * self.num_relations + _ids(relations, self.num_relations)
        return key


def _ids(values: npt.ArrayLike, limit: int) -> Ids:
    """As int64; an id outside 0 … limit - 1 would silently mean another fact, so it raises IndexError."""
    ids: Ids = np.asarray(values, dtype=np.int64)
    if ids.size and (ids.min() < 0 or ids.max() >= limit):
        raise IndexError(f"ids from {ids.min()} to {ids.max()}, expected 0 … {limit - 1}")
    return ids


def distinct(numbers: Ids) -> Ids:
    """Ascending and each once; what `np.unique` does, in a fraction of its time on a million numbers."""
    ordered = np.sort(numbers)
    first = np.ones(len(ordered), dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]
