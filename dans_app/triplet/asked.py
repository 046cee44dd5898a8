"""What the address of the screen Triplet asks for, checked against the graph and the runs, and the negatives of it."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass

import numpy as np

from dans_app.server import inspecting, loading
from dans_app.server.inspecting import Which
from dans_app.shared import other_runs, theme, url_values
from dans_app.shared.address import Address
from dans_app.shared.url_values import Triplet
from dans_app.shared.words import markdown_text
from dans_app.triplet.table import Shown
from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS
from dans_data.errors import InputError
from dans_lab.runs.run import Run

SIDES = ("tail", "head", "both")
DRAWS = ("5", "20", "50")
MOST_DRAWS = 1_000_000
OFFERED = 10
"""Heads offered of each kind, where there are too many for a list."""


@dataclass(frozen=True)
class Asked:
    """What is to be shown; the triplet in the original direction.

    Attributes:
        place, own: the address, and the part of it that means something for this run alone.
        side: the side or sides that negatives replace, one of `SIDES`.
        draws: negatives from each source; `draw` is the number of the draw, from 1.
        known_runs: the runs that could be shown beside this one by id; `beside` are the ids of those that are.
    """

    run: Run
    kg: KnowledgeGraph
    place: Address
    own: Address
    triplet: Triplet
    side: str
    draws: int
    which: str
    draw: int
    known_runs: dict[str, Run]
    beside: list[str]

    @property
    def sides(self) -> tuple[str, ...]:
        """ "tail", "head", or both."""
        return SIDES[:2] if self.side == "both" else (self.side,)

    @property
    def names(self) -> tuple[str, str, str]:
        """Head, relation and tail by name."""
        kg, triplet = self.kg, self.triplet
        return kg.entities[triplet.head], kg.relations[triplet.relation], kg.entities[triplet.tail]

    def query(self, side: str) -> tuple[int, int, int]:
        """The tail query whose answer is this side of the triplet: head, relation (or reciprocal) and that answer."""
        return dataclasses.replace(self.triplet, side=side).query(self.kg)

    def run_of(self, run_id: str) -> Run:
        """A run on the screen; the empty id is the chosen run's."""
        return self.known_runs[run_id] if run_id else self.run

    def weights_of(self, run: Run) -> Which:
        """The weights asked for, or those that this run has."""
        has = inspecting.checkpoints(run)
        return next((which for which in has if which == self.which), has[0] if has else "best")


def checked(run: Run, kg: KnowledgeGraph) -> Asked:
    """Read the address, keep in it what is really shown, and complain there of what cannot be."""
    place, own = Address("triplet", kg.hash), Address("triplet", run.id, "run")
    known_runs = other_runs.others(run, kg, own.raw("with"))

    side = place.said(url_values.one_of(place.raw("side"), "side", SIDES))
    head, relation, tail = (place.raw(name) for name in ("head", "relation", "tail"))
    triplet, problems = url_values.triplet(head, relation, tail, None if side == "both" else side, kg)
    if problems:
        place.complain(problems[0])
    side = side if side == "both" else triplet.side
    draws = place.said(url_values.one_of(place.raw("draws"), "draws", DRAWS))
    which = place.said(url_values.one_of(place.raw("weights"), "weights", list(theme.WEIGHTS)))
    draw = place.said(draw_number(place.raw("draw")))
    compared = place.said(other_runs.wanted(own.raw("with"), run, kg, known_runs))
    remember(place, kg, triplet)
    place.keep("side", None if side == "tail" else side)
    place.keep("draws", None if draws == DRAWS[0] else draws)
    place.keep("weights", None if which == "best" else which)
    place.keep("draw", None if draw == 1 else str(draw))
    own.keep("with", other_runs.address(compared, run, known_runs))
    return Asked(run, kg, place, own, triplet, side, int(draws), which, draw, known_runs, compared)


def draw_number(text: str | None) -> tuple[int, str | None]:
    """The number of a draw, 1 by default, and what is wrong with the text."""
    if text is None:
        return 1, None
    if len(text) < 8 and text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST_DRAWS:
        return int(text), None
    shown = markdown_text(text, 20)
    return 1, f"The address asks for draw “{shown}”; it can be a whole number from 1 to {MOST_DRAWS:,}."


def remember(place: Address, kg: KnowledgeGraph, triplet: Triplet, by_person: bool = False) -> None:
    """The triplet into the address, by names."""
    put = place.choose if by_person else place.keep
    put("head", kg.entities[triplet.head])
    put("relation", kg.relations[triplet.relation])
    put("tail", kg.entities[triplet.tail])


def negatives(asked: Asked) -> tuple[list[Shown], list[str]]:
    """Each side by each run, the chosen run first; and a sentence on each run that cannot be shown beside it.

    Raises InputError where the chosen run cannot be inspected.
    """
    labels = other_runs.labels(asked.run, [asked.known_runs[run_id] for run_id in asked.beside])
    shown, problems = [], {}
    for side in asked.sides:
        for run_id in ("", *asked.beside):
            run = asked.run_of(run_id)
            try:
                seen, epoch = inspecting.inspect(
                    run, asked.kg, asked.weights_of(run), asked.query(side), asked.draws, asked.draw - 1
                )
            except InputError as error:
                if not run_id:
                    raise
                why = markdown_text(str(error), 200)
                problems[run_id] = f"Run “{markdown_text(run_id)}” cannot be shown beside this one: {why}."
                continue
            shown.append(Shown(run_id, labels[run.id], side, epoch, seen, run.config.sampler))
    return shown, list(problems.values())


def known_tails(kg: KnowledgeGraph, head: int, relation: int) -> dict[int, str]:
    """The known answers in the order of their ids, each with the first split that holds it."""
    answers = kg.answers(head, relation)
    splits = {int(i): split for split in reversed(SPLITS) for i in answers[split]}
    return dict(sorted(splits.items()))


def heads_offered(asked: Asked) -> dict[str, str]:
    """Some heads of the chosen relation by name: of test facts, by chance, then of queries that the snapshots keep."""
    kg, run, relation = asked.kg, asked.run, asked.triplet.relation
    facts = kg.array("test")
    heads = np.unique(facts[facts[:, 1] == relation, 0])
    some = np.random.default_rng(0).permutation(heads)[:OFFERED]
    found = {kg.entities[head]: "test" for head in np.sort(some)}
    if epochs := [epoch for epoch, _ in run.snapshots()]:
        # What is wrong with a snapshot is said where it is shown.
        with contextlib.suppress(InputError):
            queries = loading.frame(run, epochs[-1], kg).queries
            kept = queries[queries[:, 1] == relation, 0]
            found |= {kg.entities[head]: "in snapshots" for head in kept[:OFFERED]}
    return found


def known_relations(kg: KnowledgeGraph, head: int) -> dict[int, None]:
    """The relations of known facts with this head, ascending."""
    return dict.fromkeys(
        np.unique(np.concatenate([_relations_of(kg.array(split), head) for split in SPLITS])).tolist()
    )


def _relations_of(facts: np.ndarray, head: int) -> np.ndarray:
    # The rows of a split are sorted, by head first.
    start, stop = np.searchsorted(facts[:, 0], [head, head + 1])
    return facts[start:stop, 1]
