"""What a person should know of a data set before believing a score on it, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS
from dans_data.catalogue import Fact
from dans_data.notes import Duplicates
from dans_data.words import listed, plural, share
from dans_lab.survey.alike import alike
from dans_lab.survey.lookups import among, distinct, found, pairs
from dans_lab.survey.relation_facts import HALF, RelationFacts, relations

MUCH = 0.1
"""From this share of a split on, what would be a note is a caution."""

ALMOST_ALL = 0.9
"""From this share on, a relation counts as symmetric, or as the inverse of another."""

_FEWEST = 5
"""Triplets that a relation needs before it is called symmetric or inverse: two may be chance."""

_WIDE = 0.02
"""From this margin of H@1 on, in either direction, it is said that test is small."""

_VERY_WIDE = 0.05
"""From this margin on, that is a caution."""

_NAMES = 5
_LONGEST = 40


@dataclass(frozen=True)
class Finding:
    """One thing to know: a sentence with its numbers, and one that says why it matters.

    `kind` names it: empty, few, duplicates, leakage, reversed, linked, unseen, alike, untrained, loops, one_entity,
    symmetric, inverse. Names in the sentence are from the data, and may hold anything.
    """

    kind: str
    severity: Literal["note", "caution"]
    sentence: str
    why: str


def findings(
    kg: KnowledgeGraph,
    duplicates: Mapping[str, int] | None = None,
    facts: Sequence[RelationFacts] | None = None,
) -> list[Finding]:
    """All that is to be known of a graph, cautions first.

    `duplicates` are triplets dropped from each split, by default those that the graph itself tells of; `facts` are its
    `relations`, where they are known already.
    """
    facts = relations(kg) if facts is None else facts
    dropped = _dropped(kg) if duplicates is None else duplicates
    every = [
        *_empty(kg),
        *_few(kg),
        *_leakage(kg),
        *_reversed(kg),
        *_linked(kg),
        *_inverse(kg, facts),
        *_unseen(kg),
        *_alike(kg),
        *_untrained(facts),
        *_symmetric(facts),
        *_one_entity(facts),
        *_loops(kg),
        *_duplicates(dropped),
    ]
    return sorted(every, key=lambda finding: finding.severity != "caution")


def warnings(kg: KnowledgeGraph, duplicates: Mapping[str, int] | None = None) -> list[str]:
    """The sentences of `findings`."""
    return [finding.sentence for finding in findings(kg, duplicates)]


def unsaid(facts: Sequence[Fact], said: Sequence[Finding]) -> list[Fact]:
    """Of the facts about a data set those that no finding tells of, or not all of it."""
    kinds = {finding.kind for finding in said}
    return [fact for fact in facts if not fact.told_by or not kinds.issuperset(fact.told_by)]


# --- splits ----------------------------------------------------------------------------------------------------


def _empty(kg: KnowledgeGraph) -> Iterable[Finding]:
    missing = [split for split in SPLITS if not len(kg.array(split))]
    if missing:
        yield Finding(
            "empty",
            "caution",
            f"{listed(missing).capitalize()} {plural(len(missing), 'has', 'have')} no triplets.",
            "A model is chosen by valid and judged on test: without them there is no score.",
        )


def _few(kg: KnowledgeGraph) -> Iterable[Finding]:
    """How far H@1 on test may be off by the luck of its queries: 1.96 √(p (1 − p) / n) at p = 1/2, where most."""
    triplets = len(kg.array("test"))
    margin = 0.98 / (2 * triplets) ** 0.5 if triplets else 0.0
    if margin >= _WIDE:
        yield Finding(
            "few",
            "caution" if margin >= _VERY_WIDE else "note",
            f"Test has {triplets:,} {plural(triplets, 'triplet', 'triplets')}, which are {2 * triplets:,} queries.",
            f"By the luck of these queries alone an H@1 of one half may be off by {min(margin, 0.5):.2f} to either "
            "side (95 %): a smaller difference between two runs may be chance, and several seeds are needed.",
        )


def _duplicates(dropped: Mapping[str, int]) -> Iterable[Finding]:
    parts = [f"{count:,} from {split}" for split, count in dropped.items() if count]
    if parts:
        yield Finding(
            "duplicates",
            "note",
            f"Triplets that stood there twice were dropped: {listed(parts)}.",
            "Programs that keep them train on these triplets more often, and count them more than once in a score.",
        )


def _leakage(kg: KnowledgeGraph) -> Iterable[Finding]:
    parts = []
    for split, other in (("valid", "train"), ("test", "train"), ("test", "valid")):
        rows = kg.array(split)
        if shared := int(among(rows, other, kg).sum()):
            parts.append(f"{_of(shared, len(rows), split)} also in {other}")
    if parts:
        yield Finding(
            "leakage",
            "caution",
            f"The splits overlap: {listed(parts)}.",
            "Part of a score on them is memory: the model was told these answers.",
        )


def _reversed(kg: KnowledgeGraph) -> Iterable[Finding]:
    shared = _turned_round(kg)
    if any(shared.values()):
        yield Finding(
            "reversed",
            _severity(kg, shared),
            f"{_counts(kg, shared)} in train the other way round, by the same relation.",
            "A model that learns that a relation goes both ways answers these without knowing more; such a share of a "
            "score says little about the rest.",
        )


def _linked(kg: KnowledgeGraph) -> Iterable[Finding]:
    train = kg.array("train")
    joined = distinct(np.concatenate([pairs(train, kg), pairs(train[:, ::-1], kg)]))
    shared = {split: int(found(pairs(kg.array(split), kg), joined).sum()) for split in SPLITS[1:]}
    if any(shared.values()):
        among_them = "; those the other way round are among them" if any(_turned_round(kg).values()) else ""
        yield Finding(
            "linked",
            _severity(kg, shared),
            f"{_counts(kg, shared, 'join', 'joins')} two entities that some triplet of train joins already, in one "
            f"direction or the other{among_them}.",
            "A model that only learns which entities belong together has a head start on these.",
        )


def _turned_round(kg: KnowledgeGraph) -> dict[str, int]:
    """How many triplets of valid and test have their reverse in train, self loops aside."""
    turned = {}
    for split in SPLITS[1:]:
        rows = kg.array(split)
        turned[split] = int(among(rows[rows[:, 0] != rows[:, 2]][:, ::-1], "train", kg).sum())
    return turned


def _unseen(kg: KnowledgeGraph) -> Iterable[Finding]:
    unseen = np.ones(kg.num_entities, dtype=np.bool_)
    unseen[kg.array("train")[:, [0, 2]]] = False
    if count := int(unseen.sum()):
        shared = {split: int(unseen[kg.array(split)[:, [0, 2]]].any(axis=1).sum()) for split in SPLITS[1:]}
        touched = [_of(number, len(kg.array(split)), split) for split, number in shared.items() if number]
        where = f": {listed(touched)} contain one" if touched else ""
        yield Finding(
            "unseen",
            _severity(kg, shared),
            f"{count:,} {plural(count, 'entity never occurs', 'entities never occur')} in train{where}.",
            "Nothing is learned about them, so their ranks are luck for every model; look also at the score over "
            "triplets whose entities train shows.",
        )


def _alike(kg: KnowledgeGraph) -> Iterable[Finding]:
    parts = []
    for kind, names in (("entities", kg.entities), ("relations", kg.relations)):
        groups = alike(names)
        if groups:
            shown = "; ".join(" and ".join(f"“{_short(name)}”" for name in group) for group in groups[:3])
            more = f" and {len(groups) - 3:,} more" if len(groups) > 3 else ""
            parts.append(f"{sum(map(len, groups)):,} {kind} ({shown}{more})")
    if parts:
        yield Finding(
            "alike",
            "caution",
            f"Some names differ only in case, spaces or how their letters are encoded: {listed(parts)}.",
            "They count as different things here; if they are the same, make them one before training.",
        )


# --- relations -------------------------------------------------------------------------------------------------


def _untrained(facts: Sequence[RelationFacts]) -> Iterable[Finding]:
    never = [each for each in facts if not each.triplets["train"]]
    if never:
        yield Finding(
            "untrained",
            "caution",
            f"{_relations(never, facts)} never {plural(len(never), 'occurs', 'occur')} in train: {_named(never)}.",
            "Nothing is learned about such a relation, so its triplets are answered by luck.",
        )


def _symmetric(facts: Sequence[RelationFacts]) -> Iterable[Finding]:
    symmetric = [each for each in facts if each.symmetric >= ALMOST_ALL and each.total >= _FEWEST]
    if symmetric:
        total = sum(each.triplets["train"] for each in facts)
        of_train = share(sum(each.triplets["train"] for each in symmetric) / total, 1)
        verb = plural(len(symmetric), "goes", "go")
        yield Finding(
            "symmetric",
            "note",
            f"{_relations(symmetric, facts)}, with {of_train} of train, almost always {verb} both ways: "
            f"{_named(symmetric)}.",
            "DistMult, which scores (h, r, t) and (t, r, h) alike, loses nothing on them; and of each such pair, one "
            "may be in train while the other is asked for.",
        )


def _inverse(kg: KnowledgeGraph, facts: Sequence[RelationFacts]) -> Iterable[Finding]:
    # A relation that holds of nearly all pairs has the reverse of everything, and says nothing by that.
    inverse = [
        each
        for each in facts
        if each.inverse is not None
        and each.inverse_share >= ALMOST_ALL
        and each.total >= max(_FEWEST, HALF * facts[each.inverse].total)
    ]
    if inverse:
        named = _some(
            [
                f"{_short(each.name)} of {_short(kg.relations[each.inverse or 0])}"
                for each in _largest(inverse)
            ]
        )
        yield Finding(
            "inverse",
            "caution",
            f"{_relations(inverse, facts)} {plural(len(inverse), 'is', 'are')} almost the inverse of another: {named}.",
            "A triplet of one is answered by looking up the other; FB15k and WN18 are hardly used any more for this.",
        )


def _one_entity(facts: Sequence[RelationFacts]) -> Iterable[Finding]:
    one = [each for each in facts if each.triplets["train"] and 1 in (each.heads, each.tails)]
    if one:
        yield Finding(
            "one_entity",
            "note",
            f"{_relations(one, facts)} {plural(len(one), 'has', 'have')} only one head or only one tail in train: "
            f"{_named(one)}.",
            "On that side there is one answer to guess, so these queries are won without a model.",
        )


def _loops(kg: KnowledgeGraph) -> Iterable[Finding]:
    parts = []
    for split in SPLITS:
        rows = kg.array(split)
        if loops := int((rows[:, 0] == rows[:, 2]).sum()):
            parts.append(f"{loops:,} in {split}")
    if parts:
        yield Finding(
            "loops",
            "note",
            f"Some triplets link an entity to itself: {listed(parts)}.",
            "They tell a model nothing of how two different entities relate.",
        )


# --- words -----------------------------------------------------------------------------------------------------


def _counts(kg: KnowledgeGraph, shared: Mapping[str, int], many: str = "are", one: str = "is") -> str:
    parts = [_of(count, len(kg.array(split)), split) for split, count in shared.items() if count]
    return f"{listed(parts)} {one if list(filter(None, shared.values())) == [1] else many}"


def _of(count: int, total: int, split: str) -> str:
    return f"{count:,} of {total:,} {split} triplets ({share(count / total, 1)})"


def _relations(some: Sequence[RelationFacts], facts: Sequence[RelationFacts]) -> str:
    return f"{len(some):,} of {len(facts):,} relations"


def _named(some: Sequence[RelationFacts]) -> str:
    return _some([_short(each.name) for each in _largest(some)])


def _largest(some: Sequence[RelationFacts]) -> list[RelationFacts]:
    return sorted(some, key=lambda each: -each.triplets["train"])


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _severity(kg: KnowledgeGraph, shared: Mapping[str, int]) -> Literal["note", "caution"]:
    much = any(count >= MUCH * len(kg.array(split)) for split, count in shared.items() if count)
    return "caution" if much else "note"


def _dropped(kg: KnowledgeGraph) -> dict[str, int]:
    return {
        note.place: note.count for note in kg.notes if isinstance(note, Duplicates) and note.place in SPLITS
    }
