"""What the address of the screen Predict asks for, checked against the graph."""

from __future__ import annotations

from dataclasses import dataclass

from dans_app.server import inspecting
from dans_app.server.inspecting import Answers, Which
from dans_app.shared import name_search, url_values
from dans_app.shared.address import Address
from dans_core.kg import KnowledgeGraph
from dans_lab.runs.run import Run

PLACES = {"tail": "Tail", "head": "Head", "relation": "Relation", "new": "New facts"}
"""Which place is open; the last means all of them."""

TOPS = ("10", "50", "200")
"""How many answers are shown that are no known facts."""

ANY = "any"
"""What the address says for new facts of every relation."""


@dataclass(frozen=True)
class Asked:
    """What is asked, by ids in the original direction; what stands in the open place means nothing.

    `relation` is None for new facts of every relation.
    """

    run: Run
    kg: KnowledgeGraph
    place: Address
    open: str
    head: int
    relation: int | None
    tail: int
    top: int
    known: bool
    typed: bool
    which: Which

    @property
    def query(self) -> tuple[int, int] | None:
        """Head and relation of the tail query that asks for an entity, reciprocals included; None if none does."""
        if self.relation is None or self.open not in ("tail", "head"):
            return None
        if self.open == "tail":
            return self.head, self.relation
        return self.tail, self.relation + self.kg.num_relations

    @property
    def names(self) -> tuple[str, str, str]:
        """Head, relation and tail by name, "?" for what is open."""
        head, tail = self.kg.entities[self.head], self.kg.entities[self.tail]
        relation = "?" if self.relation is None else self.kg.relations[self.relation]
        if self.open == "new":
            return "?", relation, "?"
        return (
            "?" if self.open == "head" else head,
            "?" if self.open == "relation" else relation,
            "?" if self.open == "tail" else tail,
        )

    def choose(self, role: str, number: int | None) -> None:
        """For callbacks: an entity, a relation, or any relation."""
        names = self.kg.relations if role == "relation" else self.kg.entities
        self.place.choose(role, ANY if number is None else names[number])


def checked(run: Run, kg: KnowledgeGraph, which: Which) -> Asked:
    """Read the address, keep in it what is really shown, and complain there of what cannot be."""
    place = Address("predict", kg.hash)
    open_ = place.said(url_values.one_of(place.raw("ask"), "ask", list(PLACES)))
    every = open_ == "new" and place.raw("relation") in (None, ANY) and kg.num_entities <= name_search.LARGE
    named = {role: place.raw(role) for role in ("head", "relation", "tail")}
    if named["relation"] == ANY:
        named["relation"] = None
    found, problems = url_values.triplet(named["head"], named["relation"], named["tail"], None, kg)
    if problems:
        place.complain(problems[0])
    top = place.said(url_values.one_of(place.raw("top"), "top", TOPS))
    known, typed = (
        place.said(url_values.one_of(place.raw(name), name, ("no", "yes"))) == "yes"
        for name in ("known", "typed")
    )
    relation = None if every else found.relation
    place.keep("ask", None if open_ == "tail" else open_)
    place.keep("top", None if top == TOPS[0] else top)
    place.keep("known", "yes" if known else None)
    place.keep("typed", "yes" if typed else None)
    for role, name in (("head", kg.entities[found.head]), ("tail", kg.entities[found.tail])):
        place.keep(role, None if open_ in (role, "new") else name)
    place.keep(
        "relation", None if open_ == "relation" else ANY if relation is None else kg.relations[relation]
    )
    return Asked(run, kg, place, open_, found.head, relation, found.tail, int(top), known, typed, which)


def answers(asked: Asked) -> Answers:
    """What the run answers, without known facts unless they are asked for; raises as `inspecting.inspect` does."""
    found = _answers(asked)
    if asked.known:
        return found
    new = ~asked.kg.known_answers.contains(*found.triplets.T)
    return Answers(**{name: values[new] for name, values in vars(found).items()})


def _answers(asked: Asked) -> Answers:
    run, kg, which = asked.run, asked.kg, asked.which
    if asked.query is not None:
        return inspecting.fill(run, kg, which, *asked.query, asked.top, asked.typed)
    if asked.open == "relation":
        return inspecting.relations_between(run, kg, which, asked.head, asked.tail, asked.top)
    return inspecting.new_facts(run, kg, which, asked.relation, asked.top)
