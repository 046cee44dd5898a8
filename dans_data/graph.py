"""A data set by numbers: ids of names, the rows of each split, checked, and what a reader should know of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from dans_data import html
from dans_data.columns import Columns
from dans_data.errors import InputError
from dans_data.known import Ids, KnownAnswers, distinct
from dans_data.notes import (
    Duplicates,
    EmptySplit,
    GraphNote,
    Note,
    Overlap,
    ReadingNote,
    UnseenEntities,
    UnseenRelations,
)
from dans_data.sources import load
from dans_data.triplets import (
    RECIPROCAL,
    RESERVED_ENDING,
    SPLITS,
    Triplet,
    facts_hash,
    name_problem,
    printable,
    suggestion,
)


class Graph:
    """Triplets over named entities and relations, split into train, valid and test.

    Every relation has a reciprocal with id r + |R|, so that a question for a head is one for a tail.

    An id is a position in the sorted names, and the rows of a split are sorted and distinct: two graphs of
    the same `hash` are the same arrays, whatever the order of lines in their files.

    Attributes:
        name: what a person calls it.
        entities: names by id, and `relations` without the reciprocals; `num_entities`, `num_relations` count them.
        read_notes: what was noted as the files were read.
        notes: these, and what was found here: duplicates, overlap of splits, names that train never shows.
        split_seed: the seed that one file was split with; None where the splits were given.
    """

    split_seed: int | None = None

    def __init__(
        self,
        train: npt.ArrayLike,
        valid: npt.ArrayLike,
        test: npt.ArrayLike,
        entities: Sequence[str],
        relations: Sequence[str],
        name: str,
        notes: Sequence[ReadingNote] = (),
    ) -> None:
        """Each split: shape (n, 3), ids of head, relation, tail. `notes` are those of reading.

        Raises:
            InputError: names unsorted, repeated or unprintable; ids of wrong shape, type or range; no train.
        """
        self.name = name
        self.entities = _names(entities, "entity", "entities")
        self.relations = _names(relations, "relation", "relations")
        self.num_entities = len(self.entities)
        self.num_relations = len(self.relations)
        for relation in self.relations:
            if relation.endswith(RECIPROCAL):
                raise InputError(f'{name}: relation "{relation}" {RESERVED_ENDING}')
        if self.num_entities**2 * max(self.num_relations, 1) * 2 >= 2**63:
            raise InputError(
                f"{name}: {self.num_entities:,} entities are too many to number their facts in 64 bits"
            )
        self._arrays: dict[str, Ids] = {}
        dropped = []
        for split, triplets in zip(SPLITS, (train, valid, test), strict=True):
            ids = self._checked(split, triplets)
            self._arrays[split] = self._rows(distinct(self._numbers(ids)))
            if count := len(ids) - len(self._arrays[split]):
                dropped.append(Duplicates(split, count))
        if not len(self._arrays["train"]):
            raise InputError(f"{name}: train is empty, expected at least one triplet")
        self.read_notes = tuple(notes)
        self.notes: tuple[Note, ...] = (*self.read_notes, *dropped, *self._found())

    @classmethod
    def load(
        cls, source: str | os.PathLike[str], split_seed: int = 0, columns: Columns | None = None
    ) -> Self:
        """A named data set ("umls"), a folder with train, valid and test, or one file (see `dans_data.load`).

        One file is split by `split_seed`, which changes nothing where the files are split already; `columns` is what
        a person says of those of a table.

        Raises:
            InputError: what is wrong, in which file and line, and what would be right.
        """
        found = load(source, split_seed, columns=columns)
        graph = cls.from_names(found.splits, found.name, found.notes)
        graph.split_seed = found.split_seed
        return graph

    @classmethod
    def from_names(
        cls, splits: Mapping[str, Sequence[Triplet]], name: str, notes: Sequence[ReadingNote] = ()
    ) -> Self:
        """A graph of named triplets; `splits` maps train, valid and test to lists of (head, relation, tail).

        Raises:
            InputError: another set of splits, an empty train, or a name that cannot be used.
        """
        if set(splits) != set(SPLITS):
            raise InputError(
                f"{name}: splits {', '.join(map(str, splits)) or 'none'}; expected train, valid, test"
            )
        triplets = [splits[split] for split in SPLITS]
        entities = sorted({entity for rows in triplets for head, _, tail in rows for entity in (head, tail)})
        relations = sorted({relation for rows in triplets for _, relation, _ in rows})
        entity_ids = {entity: i for i, entity in enumerate(entities)}
        relation_ids = {relation: i for i, relation in enumerate(relations)}

        def ids(rows: Sequence[Triplet]) -> Ids:
            # Numbers as they come: a million rows as lists of lists would take seconds.
            flat = (number for h, r, t in rows for number in (entity_ids[h], relation_ids[r], entity_ids[t]))
            return np.fromiter(flat, dtype=np.int64, count=3 * len(rows)).reshape(-1, 3)

        train, valid, test = map(ids, triplets)
        return cls(train, valid, test, entities, relations, name, notes)

    def array(self, split: str) -> Ids:
        """The split: shape (n, 3), int64, read-only, rows sorted. Raises InputError if there is none."""
        if split not in self._arrays:
            raise InputError(f'there is no split "{split}"; expected one of {", ".join(SPLITS)}')
        return self._arrays[split]

    def queries(self, split: str) -> Ids:
        """Both directions, shape (2n, 3): the rows (h, r, t), then their reciprocals (t, r + |R|, h)."""
        forward = self.array(split)
        backward = forward[:, ::-1] + np.array([0, self.num_relations, 0])
        return np.concatenate([forward, backward])

    @cached_property
    def _indexes(self) -> dict[tuple[str, ...], KnownAnswers]:
        return {}

    def known_in(self, *splits: str) -> KnownAnswers:
        """Index of the facts of these splits, both directions. What reaches a loss may use "train" alone."""
        if splits not in self._indexes:
            facts = np.concatenate([self.queries(split) for split in splits])
            self._indexes[splits] = KnownAnswers(facts, self.num_entities, 2 * self.num_relations)
        return self._indexes[splits]

    @property
    def known_answers(self) -> KnownAnswers:
        """Index of every known fact, all three splits and both directions: the filter of ranking."""
        return self.known_in(*SPLITS)

    def answers(self, head: int, relation: int) -> dict[str, Ids]:
        """The known answers of one query in each split, ascending ids; `relation` may be a reciprocal."""
        found = {}
        for split in SPLITS:
            index = self.known_in(split)
            start, stop = index.ranges(head, relation)
            found[split] = index.answers[int(start) : int(stop)]
        return found

    def split_of(self, head: int, relation: int, tail: int) -> str | None:
        """The first of train, valid, test that holds the fact, or None; `relation` may be a reciprocal."""
        for split in SPLITS:
            if self.known_in(split).contains(head, relation, tail):
                return split
        return None

    def slot_counts(self) -> npt.NDArray[np.int32]:
        """How often each entity is the answer of each relation in train; shape (2|R|, N).

        The counts behind the parameter-free floor of a ranking table (method, section 6). Dense: 100 MB for
        NELL-995, of which only the touched pages are taken.
        """
        train = self.queries("train")
        cells, counts = np.unique(train[:, 1] * self.num_entities + train[:, 2], return_counts=True)
        slots = np.zeros(2 * self.num_relations * self.num_entities, dtype=np.int32)
        slots[cells] = counts
        return slots.reshape(2 * self.num_relations, self.num_entities)

    def seen_in_train(self, split: str) -> npt.NDArray[np.bool_]:
        """Of each triplet of a split, shape (n,), whether its head and its tail both occur in train."""
        unseen = _absent(self.array("train")[:, [0, 2]], self.num_entities)
        return np.asarray(~unseen[self.array(split)[:, [0, 2]]].any(axis=1))

    @cached_property
    def hash(self) -> str:
        """The identity of the data set, `facts_hash`, whatever the order of lines in its files.

        A graph that was built with names that no triplet uses has them in its hash, one a line.
        """
        return facts_hash({split: self.named(split) for split in SPLITS}, self._unused())

    def entity_id(self, name: str) -> int:
        """The id of an entity. Raises InputError, with the names that look like it."""
        if name not in self._entity_ids:
            raise InputError(f'{self.name} has no entity "{name}"{suggestion(name, self.entities)}')
        return self._entity_ids[name]

    def relation_id(self, name: str) -> int:
        """The id of a relation, or of its reciprocal for "NAME⁻¹". Raises InputError, as `entity_id`."""
        plain = name.removesuffix(RECIPROCAL)
        ending = name[len(plain) :]
        if plain not in self._relation_ids:
            close = suggestion(name, (relation + ending for relation in self.relations))
            raise InputError(f'{self.name} has no relation "{name}"{close}')
        return self._relation_ids[plain] + (self.num_relations if ending else 0)

    def relation_name(self, relation: int) -> str:
        """The name of a relation; "NAME⁻¹" for a reciprocal. Raises IndexError outside 0 … 2|R| - 1."""
        if not 0 <= relation < 2 * self.num_relations:
            raise IndexError(f"relation {relation} is outside 0 … {2 * self.num_relations - 1}")
        reciprocal, plain = divmod(relation, self.num_relations)
        return self.relations[plain] + RECIPROCAL * reciprocal

    def __repr__(self) -> str:
        sizes = " / ".join(f"{len(self.array(split)):,}" for split in SPLITS)
        counts = f"{self.num_entities:,} entities, {self.num_relations:,} relations"
        return f'{type(self).__name__}("{self.name}": {counts}, {sizes} triplets)'

    def _repr_html_(self) -> str:
        """How a notebook shows it: its counts, its notes, and some triplets of train."""
        counts = [("entities", self.num_entities), ("relations", self.num_relations)]
        counts += [(split, len(self.array(split))) for split in SPLITS]
        some = [
            (f"triplet {i}", "  ".join(row))
            for i, row in enumerate(itertools.islice(self.named("train"), 3), 1)
        ]
        return html.table(self.name, [*counts, *some, *(("note", note) for note in self.notes[:5])])

    @cached_property
    def _relation_ids(self) -> dict[str, int]:
        return {relation: i for i, relation in enumerate(self.relations)}

    @cached_property
    def _entity_ids(self) -> dict[str, int]:
        return {entity: i for i, entity in enumerate(self.entities)}

    def named(self, split: str) -> Iterator[Triplet]:
        """The triplets of a split by name, in the order of `array`."""
        for head, relation, tail in self.array(split).tolist():
            yield self.entities[head], self.relations[relation], self.entities[tail]

    def _numbers(self, rows: Ids) -> Ids:
        """Each row, shape (n, 3), as one number, in the order of head, relation, tail; shape (n,)."""
        numbers: Ids = (rows[:, 0] * self.num_relations + rows[:, 1]) * self.num_entities + rows[:, 2]
        return numbers

    def _rows(self, numbers: Ids) -> Ids:
        """The rows of these numbers, shape (n, 3); read-only."""
        first, tails = np.divmod(numbers, self.num_entities)
        heads, relations = np.divmod(first, self.num_relations)
        rows: Ids = np.stack([heads, relations, tails], axis=1)
        rows.setflags(write=False)
        return rows

    def _checked(self, split: str, triplets: npt.ArrayLike) -> Ids:
        ids = np.asarray(triplets)
        if ids.size == 0:
            return np.zeros((0, 3), dtype=np.int64)
        if ids.ndim != 2 or ids.shape[1] != 3 or not np.issubdtype(ids.dtype, np.integer):
            raise InputError(
                f"{self.name}: {split} is {ids.dtype} of shape {ids.shape}, expected integers (n, 3)"
            )
        limits = (self.num_entities, self.num_relations, self.num_entities)
        for column, limit, role in zip(ids.T, limits, ("head", "relation", "tail"), strict=True):
            if column.min() < 0 or column.max() >= limit:
                row = int(np.flatnonzero((column < 0) | (column >= limit))[0])
                raise InputError(
                    f"{self.name}: {split}, row {row}: {role} {column[row]} is outside 0 … {limit - 1}"
                )
        return ids.astype(np.int64)

    def _found(self) -> Iterator[GraphNote]:
        """What a reader of results should know of the splits."""
        for split in SPLITS:
            if not len(self._arrays[split]):
                yield EmptySplit(split)
        facts = {split: self._numbers(self._arrays[split]) for split in SPLITS}
        for i, first in enumerate(SPLITS):
            for second in SPLITS[i + 1 :]:
                if shared := len(np.intersect1d(facts[first], facts[second], assume_unique=True)):
                    yield Overlap(first, second, shared)
        train = self._arrays["train"]
        unseen = _absent(train[:, [0, 2]], self.num_entities)
        if count := int(unseen.sum()):
            touched = {split: int((~self.seen_in_train(split)).sum()) for split in SPLITS[1:]}
            yield UnseenEntities(count, touched)
        if count := int(_absent(train[:, 1], self.num_relations).sum()):
            yield UnseenRelations(count)

    def _unused(self) -> list[str]:
        """Names that no triplet uses; none in a graph made from names."""
        every = np.concatenate([self._arrays[split] for split in SPLITS])
        entities = _absent(every[:, [0, 2]], self.num_entities)
        relations = _absent(every[:, 1], self.num_relations)
        return [f"entity\t{self.entities[i]}" for i in np.flatnonzero(entities)] + [
            f"relation\t{self.relations[i]}" for i in np.flatnonzero(relations)
        ]


def _absent(ids: Ids, limit: int) -> npt.NDArray[np.bool_]:
    """Which of the ids 0 … limit - 1 are not among these; shape (limit,)."""
    absent = np.ones(limit, dtype=np.bool_)
    absent[ids] = False
    return absent


def _names(names: Sequence[str], one: str, many: str) -> tuple[str, ...]:
    for name in names:
        if problem := name_problem(name):
            raise InputError(f'the {one} name "{printable(name, 80)}" {problem}')
    for before, after in itertools.pairwise(names):
        if before >= after:
            raise InputError(f'{many} must be sorted and distinct, but "{before}" stands before "{after}"')
    return tuple(names)
