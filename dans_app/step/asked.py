"""What the address of the screen Step asks for, checked: a query of a training triplet, a round, a stop of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dans_app.shared import shell, url_values
from dans_app.shared.address import Address
from dans_app.shared.words import instead, markdown_text
from dans_app.step import stops
from dans_core.kg import KnowledgeGraph
from dans_data import RECIPROCAL
from dans_lab.map.relation_view import busiest_relation
from dans_lab.runs.run import Run
from dans_lab.stepping.rounds import total_rounds

PARTS = ("head", "relation", "tail")
SIDES = ("tail", "head")
Triplet = tuple[int, int, int]
Names = tuple[str, str, str]


@dataclass(frozen=True)
class Asked:
    """What is to be shown.

    Attributes:
        place, own: the address, and the part of it that means something for this run alone.
        triplet: ids of a training triplet. side: its place that is asked for, one of `SIDES`.
        number, stop: the round and the stop to begin with, from 1; `total` is how many rounds the run has.
    """

    run: Run
    kg: KnowledgeGraph
    place: Address
    own: Address
    triplet: Triplet
    side: str
    number: int
    stop: int
    total: int

    @property
    def names(self) -> Names:
        """Head, relation and tail by name."""
        head, relation, tail = self.triplet
        return self.kg.entities[head], self.kg.relations[relation], self.kg.entities[tail]

    @property
    def query(self) -> Triplet:
        """Head and relation of the query that is followed, the reciprocal where a head is asked for, and its answer."""
        return url_values.Triplet(*self.triplet, self.side).query(self.kg)

    @property
    def token(self) -> str:
        """Another one where the browser is to begin anew."""
        return "-".join((self.run.id, *map(str, self.query), self.place.visit, self.own.visit))


def checked(run: Run, kg: KnowledgeGraph) -> Asked:
    """Read the address, keep in it what is really shown, and complain there of what cannot be."""
    place, own = Address("step", kg.hash), Address("step", run.id, "run")
    texts, turned = _forwards([place.raw(name) for name in PARTS], kg)
    found = place.said(_triplet(texts, kg))
    side = place.said(url_values.one_of("head" if turned else place.raw("side"), "side", SIDES))
    total = total_rounds(run.config)
    number = own.said(whole(own.raw("round"), "round", total))
    stop = own.said(_stop(own.raw("stop"), [stage for stage, _ in stops.kinds(run.config)]))
    remember(place, kg, found)
    place.keep("side", None if side == SIDES[0] else side)
    keep(own, number, stop)
    return Asked(run, kg, place, own, found, side, number, stop, total)


def whole(text: str | None, name: str, most: int) -> tuple[int, str | None]:
    """A number from 1 to `most`, 1 by default, and what is wrong with the text."""
    if text is None:
        return 1, None
    if len(text) < 8 and text.isascii() and text.isdecimal() and 1 <= int(text) <= most:
        return int(text), None
    shown = markdown_text(text, 20)
    return 1, f"The address asks for {name} “{shown}”; it can be a whole number from 1 to {most:,}."


def _stop(text: str | None, stages: list[str]) -> tuple[int, str | None]:
    """The number of a stop; a link may name a stage, and means its first one."""
    if text in stages:
        return stages.index(text) + 1, None
    return whole(text, "stop", len(stages))


def remember(place: Address, kg: KnowledgeGraph, triplet: Triplet, by_person: bool = False) -> None:
    """The triplet into the address, by names."""
    put = place.choose if by_person else place.keep
    for name, value in zip(PARTS, _names(triplet, kg), strict=True):
        put(name, value)


def keep(own: Address, number: int, stop: int) -> None:
    """Round and stop into the address."""
    own.keep("round", None if number == 1 else str(number))
    own.keep("stop", None if stop == 1 else str(stop))


def _forwards(texts: list[str | None], kg: KnowledgeGraph) -> tuple[list[str | None], bool]:
    """Names of (t, r⁻¹, h) as those of (h, r, t), and whether they were turned round."""
    head, relation, tail = texts
    plain = (relation or "").removesuffix(RECIPROCAL)
    if plain == relation or plain not in kg.relations:
        return texts, False
    return [tail, plain, head], True


def _triplet(texts: list[str | None], kg: KnowledgeGraph) -> tuple[Triplet, str | None]:
    """The training triplet of these names, or one that agrees with most of them, and what is wrong."""
    head, head_problem = url_values.entity(texts[0], kg, "head")
    tail, tail_problem = url_values.entity(texts[2], kg, "tail")
    relation, relation_problem = url_values.relation(texts[1], kg)
    if texts[1] is None or relation_problem:
        return fitting([head, None, tail], kg), head_problem or relation_problem or tail_problem
    shown = fitting([head, relation, tail], kg)
    if problem := head_problem or tail_problem:
        return shown, problem
    asked = head, relation, tail
    if None in asked or asked == shown:
        return shown, None
    wanted, instead_of = (_words(each, kg) for each in ((head or 0, relation, tail or 0), shown))
    data = markdown_text(shell.dataset_name(kg.name))
    return shown, instead(f"{wanted} is no training triplet of {data}, so no step is made for it", instead_of)


def fitting(given: list[int | None], kg: KnowledgeGraph) -> Triplet:
    """The first training triplet that agrees with most of what is given, the head before the relation before the tail.

    With nothing given, one in the middle of the relation with the most.
    """
    facts = kg.array("train")
    if all(part is None for part in given):
        facts = facts[facts[:, 1] == busiest_relation(kg)]
        return _numbers(facts[len(facts) // 2])
    # Two of the later parts weigh as much as the first alone, so that agreeing with more always wins.
    agrees = np.zeros(len(facts))
    for column, (part, weight) in enumerate(zip(given, (1.2, 1.1, 1.0), strict=True)):
        if part is not None:
            agrees += weight * (facts[:, column] == part)
    return _numbers(facts[int(agrees.argmax())])


def _numbers(fact: np.ndarray) -> Triplet:
    head, relation, tail = map(int, fact)
    return head, relation, tail


def _names(triplet: Triplet, kg: KnowledgeGraph) -> Names:
    return kg.entities[triplet[0]], kg.relations[triplet[1]], kg.entities[triplet[2]]


def _words(triplet: Triplet, kg: KnowledgeGraph) -> str:
    return "(" + ", ".join(markdown_text(name, 40) for name in _names(triplet, kg)) + ")"
