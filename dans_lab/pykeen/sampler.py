"""PyKEEN's negative sampler "dans": heads and tails replaced by what a generator proposes for them."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import torch
from pykeen.sampling import NegativeSampler
from torch import Tensor
from torch.utils.data import get_worker_info

from dans_data.errors import InputError
from dans_lab.pykeen.pool import Pool, Source

if TYPE_CHECKING:
    from pykeen.triples import TriplesFactory

    from dans_lab.pykeen.game import Game
    from dans_lab.pykeen.weights import ImportanceWeights

_SIDES = {"head": 0, "h": 0, "tail": 2, "t": 2}


class DansNegativeSampler(NegativeSampler):
    """Replaces heads and tails by entities that a DANS generator proposes for (?, r, t) and (h, r, ?).

    The generator is that of a finished run, or of a game that is played along with the training. For every query of the
    training triplets some draws from its proposal are kept, and are made anew after as many triplets as there are; so a
    batch costs a look-up. A proposal has a random share, so every entity can be drawn. A draw that is the triplet's own
    answer, or a fact of train, is replaced by any other entity; with `weights`, the own answer weighs nothing instead,
    and facts stay, as much as any other entity.

    Random numbers are torch's global ones, as those of PyKEEN's own samplers: its `random_seed` repeats a run.
    """

    def __init__(
        self,
        *,
        run: str | os.PathLike[str] | None = None,
        game: Game | None = None,
        labels: TriplesFactory | None = None,
        avoid_known: bool | None = None,
        weights: ImportanceWeights | None = None,
        corruption_scheme: Collection[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Ask for negatives of one generator.

        Args:
            run: the id or the folder of a finished run with DANS.
            game: the game that is given to the training as a callback, too.
            labels: the factory of the training triplets, by whose labels entities and relations of the run are found.
                Not needed where both number them alike, which is told by the facts themselves.
            avoid_known: whether no fact of train is proposed; off, one may be. On unless said, and off with weights.
            weights: where those of each batch are kept; `training_loop="dans"` gives it and brings them into the loss.
            corruption_scheme: "head", "tail" or both.
            kwargs: what all of PyKEEN's samplers take: `num_negs_per_pos`, `filtered`, `filterer` …

        Raises:
            InputError: neither run nor game or both, a run without a generator, or one of another graph; a filterer
                with weights.
        """
        super().__init__(**kwargs)
        sides = list(dict.fromkeys(_SIDES.get(side, -1) for side in corruption_scheme or ("head", "tail")))
        if -1 in sides or isinstance(corruption_scheme, str):
            raise InputError(
                f'corruption_scheme = {corruption_scheme!r}: DANS proposes heads and tails; expected ("head", "tail"), '
                "or one of them"
            )
        if weights is not None and self.filterer is not None:
            raise InputError(
                "PyKEEN cannot weigh negatives that it filters; with weights, expected avoid_known=True in the place "
                "of filtered or filterer"
            )
        self._columns, self._weights = torch.tensor(sides), weights
        triplets: Tensor = kwargs["mapped_triples"]
        self._game = game
        source: Source
        if (run is None) == (game is None):
            raise InputError('negative_sampler="dans" needs either a run, or a game that is played along')
        if run is not None:
            from dans_lab.pykeen.finished import Finished

            source = Finished(run, triplets, self.num_entities, self.num_relations, labels)
        else:
            assert game is not None
            source = game.joined_by(triplets, self.num_entities, self.num_relations)
        self._pool = Pool(
            source,
            triplets,
            self.num_entities,
            self.num_relations,
            avoid_known=weights is None if avoid_known is None else avoid_known,
            weighed=weights is not None,
        )

    def corrupt_batch(self, positive_batch: Tensor) -> Tensor:
        """Triplets (…, 3) → negatives (…, num_negs_per_pos, 3).

        Half of the negatives have another head and half another tail, those of one triplet in turn.
        """
        if self._game is not None and get_worker_info() is not None:
            raise InputError("a game that is played along is in the main process; train with num_workers=0")
        positives = positive_batch.reshape(-1, 3).cpu()
        count = len(positives) * self.num_negs_per_pos
        negatives = positives.repeat_interleave(self.num_negs_per_pos, dim=0)
        turn = torch.arange(count)
        if self.num_negs_per_pos % 2 == 0:
            turn = turn + turn // self.num_negs_per_pos
        column = self._columns[turn % len(self._columns)].unsqueeze(1)
        known = negatives.gather(1, 2 - column).squeeze(1)
        relation = negatives[:, 1] + self.num_relations * (column.squeeze(1) == 0)
        own = negatives.gather(1, column).squeeze(1)
        drawn, weights = self._pool.draw(known, relation, own, len(positives))
        negatives.scatter_(1, column, drawn.unsqueeze(1))
        shape: Sequence[int] = (*positive_batch.shape[:-1], self.num_negs_per_pos, 3)
        found = negatives.view(shape).to(positive_batch.device)
        if self._weights is not None:
            self._weights.keep(found, weights.view(shape[:-1]).to(positive_batch.device))
        return found
