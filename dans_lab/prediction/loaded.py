"""A run as one expects it in Python: its model, graph and settings, and its answers by names."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from dans_core.config import Config
from dans_core.kg import KnowledgeGraph
from dans_core.model import Model
from dans_core.ranking import RankingResult, evaluate, popularity_floor
from dans_data import html
from dans_data.errors import InputError
from dans_lab.inspection import Trained
from dans_lab.prediction.answers import Filled, Floats, fill_relation, fill_tail, new_facts, score
from dans_lab.prediction.calibration import Calibration, calibrate
from dans_lab.runs.run import MODEL, Run, Which, open_run, usual_weights
from dans_lab.worth import Worth, of_new_facts, warnings, worth

if TYPE_CHECKING:
    from dans_lab.map.widget import MapWidget

MOST_SHOWN = 50
"""Answers that a notebook shows of a list."""


@dataclass(frozen=True)
class Answer:
    """One triplet that a model was asked about.

    Attributes:
        head: a name, as `relation` and `tail` are.
        score: the decoder's, to be compared within one query only.
        rank: filtered, as in evaluation; None where it was not asked for among others.
        probability: that it is true, by the calibration on valid; None of a known fact, and where valid is too small.
        known: the split that holds it, or None.
    """

    head: str
    relation: str
    tail: str
    score: float
    rank: float | None
    probability: float | None
    known: str | None


class Answers(list[Answer]):
    """Answers in their order, a list that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        head = ("head", "relation", "tail", "score", "rank", "probability", "known fact of")
        rows = [
            (a.head, a.relation, a.tail, a.score, a.rank, a.probability, a.known) for a in self[:MOST_SHOWN]
        ]
        more = len(self) - len(rows)
        return html.table("Answers", rows, head, f"and {more:,} more" if more else "")


class LoadedRun:
    """A finished or stopped run, or the model that was exported of one.

    Attributes:
        run: its folder, or that of the export; `epoch` that of its weights, `which` "best" or "last".
        kg: its graph; `config` its settings, and `model` its base model, in evaluation mode.
    """

    def __init__(self, run: Run, trained: Trained, which: Which, epoch: int) -> None:
        self.run = run
        self.trained = trained
        self.which = which
        self.epoch = epoch
        self.kg: KnowledgeGraph = trained.kg
        self.config: Config = trained.config
        self.model: Model = trained.networks.model

    def _repr_html_(self) -> str:
        return f"{self.run._repr_html_()}\n<p>{self.which} weights, of epoch {self.epoch:,}</p>"

    @cached_property
    def calibration(self) -> Calibration | None:
        """Fitted on valid when first asked for; None where valid is too small."""
        return calibrate(self.trained)

    def evaluate(self, split: str = "test") -> RankingResult:
        """Filtered ranking of a split."""
        return self._evaluated(split)[0]

    def floor(self, split: str = "test") -> RankingResult:
        """The same by slot popularity alone, without any model."""
        return self._evaluated(split)[1]

    def predict(
        self,
        head: str | None = None,
        relation: str | None = None,
        tail: str | None = None,
        top: int = 10,
        typed: bool = False,
        told: Callable[[int, int], None] = lambda done, total: None,
    ) -> Answers:
        """The open place of a triplet filled, best first: the `top` that are no known facts, known ones among them.

        Two names ask for the third; a relation alone, or nothing, for new facts of it, or of the whole graph. `typed`
        leaves only entities that train shows in the open place of the relation. `told` hears how far new facts are.

        Raises:
            InputError: all three names, an entity alone, a name that is not there, or a `top` below 1.
        """
        if top < 1:
            raise InputError(f"top = {top}: expected 1 or more")
        kg = self.kg
        h = None if head is None else kg.entity_id(head)
        r = None if relation is None else kg.relation_id(relation)
        t = None if tail is None else kg.entity_id(tail)
        if h is not None and r is not None and t is None:
            return self._tails(fill_tail(self.trained, h, r, typed), h, r, top)
        if h is None and r is not None and t is not None:
            found = fill_tail(self.trained, t, self._turned(r), typed)
            return self._tails(found, t, self._turned(r), top)
        if typed:
            raise InputError("typed goes with a relation and an entity")
        if h is not None and r is None and t is not None:
            return self._relations(fill_relation(self.trained, h, t), h, t, top)
        if h is None and t is None:
            return self._new(top, r, told)
        raise InputError("expected two of head, relation and tail, a relation alone, or none of them")

    def score(self, triplets: Sequence[tuple[str, str, str]]) -> Answers:
        """Triplets by name in their order, each ranked among the tails of its query.

        Raises InputError for a name that is not there.
        """
        ids = np.array(
            [
                (self.kg.entity_id(head), self.kg.relation_id(relation), self.kg.entity_id(tail))
                for head, relation, tail in triplets
            ],
            dtype=np.int64,
        ).reshape(-1, 3)
        scores = score(self.trained, ids)
        answers = Answers()
        for (head, relation, tail), value in zip(ids.tolist(), scores.tolist(), strict=True):
            found = fill_tail(self.trained, head, relation)
            at = int(np.flatnonzero(found.ids == tail)[0])
            p = self._probabilities(found.shares[at : at + 1])[0]
            answers.append(self._answer(head, relation, tail, value, float(found.ranks[at]), p))
        return answers

    def worth(self, relation: str, of: str = "tail", split: str = "test") -> Worth:
        """What answers to this place of a relation, "tail" or "head", are worth."""
        r = self.kg.relation_id(relation)
        ranked, floor = self._evaluated(split)
        asked = r if of == "tail" else self._turned(r)
        return worth(self.kg, split, asked, ranked.ranks.numpy(), floor.ranks.numpy())

    def worth_of_new_facts(self, relation: str | None = None, split: str = "test") -> str:
        """What new facts of a relation, or of any, are worth, as a clause."""
        r = None if relation is None else self.kg.relation_id(relation)
        return of_new_facts(self.kg, split, r, *(each.ranks.numpy() for each in self._evaluated(split)))

    def warnings(self, split: str = "test") -> list[str]:
        """Why no answer of this run is worth anything, in clauses, if so."""
        return warnings(self.kg, split, *(each.ranks.numpy() for each in self._evaluated(split)))

    def map(self, relation: str | None = None, projection: str = "pca") -> MapWidget:
        """The map that the app draws, as a widget of a notebook: answers, fakes and random negatives of a relation.

        It holds every snapshot of the run, and begins with `relation`, or the one with the most facts. `projection` is
        "pca", which is there at once, or "umap", which takes up to a minute unless the app has made it. What a person
        chooses there can be read from the widget, and set.

        Raises:
            InputError: anywidget is not installed, an exported folder, which has no snapshots, damaged ones, or a
                relation or projection that is not there.
        """
        if importlib.util.find_spec("anywidget") is None:
            raise InputError(
                "the map in a notebook needs anywidget, which is not installed; install it by: pip install anywidget"
            )
        from dans_lab.map.widget import MapWidget

        return MapWidget(self.run, self.kg, relation, projection)

    def _evaluated(self, split: str) -> tuple[RankingResult, RankingResult]:
        if split not in self._rankings:
            self._rankings[split] = evaluate(self.model, self.kg, split), popularity_floor(self.kg, split)
        return self._rankings[split]

    @cached_property
    def _rankings(self) -> dict[str, tuple[RankingResult, RankingResult]]:
        return {}

    def _tails(self, found: Filled, head: int, relation: int, top: int) -> Answers:
        count = found.until(top)
        p = self._probabilities(found.shares[:count])
        rows = zip(found.ids[:count].tolist(), found.scores.tolist(), found.ranks.tolist(), p, strict=False)
        return Answers(self._answer(head, relation, *row) for row in rows)

    def _relations(self, found: Filled, head: int, tail: int, top: int) -> Answers:
        count = found.until(top)
        rows = zip(found.ids[:count].tolist(), found.scores.tolist(), found.ranks.tolist(), strict=False)
        return Answers(
            self._answer(head, relation, tail, score, rank, None) for relation, score, rank in rows
        )

    def _new(self, top: int, relation: int | None, told: Callable[[int, int], None]) -> Answers:
        sure = self.calibration.sureness if self.calibration else None
        triplets, shares = new_facts(self.trained, top, relation, sure, told)
        rows = zip(
            triplets.tolist(),
            score(self.trained, triplets).tolist(),
            self._probabilities(shares),
            strict=True,
        )
        return Answers(self._answer(h, r, t, value, None, p) for (h, r, t), value, p in rows)

    def _probabilities(self, shares: Floats) -> list[float | None]:
        if self.calibration is None:
            return [None] * len(shares)
        return list(self.calibration.probability(shares).tolist())

    def _answer(
        self, head: int, relation: int, tail: int, score: float, rank: float | None, p: float | None
    ) -> Answer:
        kg = self.kg
        known = kg.split_of(head, relation, tail)
        p = None if known else p
        if relation >= kg.num_relations:
            head, relation, tail = tail, relation - kg.num_relations, head
        return Answer(kg.entities[head], kg.relations[relation], kg.entities[tail], score, rank, p, known)

    def _turned(self, relation: int) -> int:
        """The relation that asks for the other side."""
        return (relation + self.kg.num_relations) % (2 * self.kg.num_relations)


def load_run(path: str | os.PathLike[str], which: Which | None = None) -> LoadedRun:
    """A run by its id or the path of its folder, or a model by that of its exported folder.

    `which` are the "best" weights by valid MRR or the "last"; None is the best, or the last of a run that had no valid
    split. An exported folder has one of them.

    Raises:
        InputError: no such run, no weights yet, or a data set that has changed since.
    """
    try:
        run = open_run(os.fspath(path), paths=True)
    except InputError:
        folder = Path(path).expanduser()
        if not (folder / MODEL).is_file():
            raise
        return _load_exported(folder, which)
    from dans_lab.runs.weights import epoch_of, load_weights

    kg = run.load_kg()
    which = which or usual_weights(kg)
    state = run.load_checkpoint(which)
    with torch.no_grad():
        trained = Trained.of(load_weights(state, kg, run.config), kg, run.config)
    return LoadedRun(run, trained, which, epoch_of(state, which))


def _load_exported(folder: Path, which: Which | None) -> LoadedRun:
    from dans_lab.export.model_folder import load_folder

    trained, weights, epoch = load_folder(folder)
    if which not in (None, weights):
        raise InputError(f"{folder} has the {weights} weights of its run alone, not the {which} ones")
    return LoadedRun(Run(folder), trained, weights, epoch)
