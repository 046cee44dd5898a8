"""What a run tells while it trains: one small record for each kind of news.

A `Trainer` yields these, a run directory keeps them one a line in `events.jsonl`, with the warnings of
`dans_lab.health` among them, and every curve on a screen is read back from there. Losses are means over one
epoch; during warm-up, and with a sampler that has no GAN, the fields of the GAN are `None`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import TypeAdapter


@dataclass(frozen=True)
class Event:
    """News of epoch `epoch` (1 is the first; 0 is before training)."""

    kind: ClassVar[str]
    epoch: int


@dataclass(frozen=True)
class Losses(Event):
    """The losses of one epoch (method, sections 2 to 4).

    `base` is the base model's, `g_e` and `g_r` are L_G of each pathway, `film_e` and `film_r` the FiLM regularisers
    within it (before the factor λ), `ce_e` and `ce_r` the cross-entropies of proposals within it (before the factor
    w_ce), `d_real`, `d_fake_e` and `d_fake_r` the mean probabilities that D_adv gives to real answers and to the fakes
    of each pathway, and `aux_accuracy` is how often D_aux names the pathway. `d_adv` = ½ real + ¼ G_E + ¼ G_R; a
    pathway that is alone has the other half. `seconds` is the time this epoch took, `warm_up` whether the GAN was
    still waiting.

    Fields of a part that the settings leave out are None: a pathway, D_aux, a FiLM that is not trained; those of the
    game also in an epoch without a round of it.
    """

    kind: ClassVar[str] = "losses"
    base: float
    warm_up: bool
    seconds: float
    g_e: float | None = None
    g_r: float | None = None
    film_e: float | None = None
    film_r: float | None = None
    ce_e: float | None = None
    ce_r: float | None = None
    d_adv: float | None = None
    d_aux: float | None = None
    d_real: float | None = None
    d_fake_e: float | None = None
    d_fake_r: float | None = None
    aux_accuracy: float | None = None

    @property
    def played(self) -> bool:
        """Whether there was a round of the game in this epoch."""
        return any(loss is not None for loss in (self.g_e, self.g_r, self.d_adv))


@dataclass(frozen=True)
class Ranking(Event):
    """Filtered ranking of a split, both sides; `best` says whether it is the highest MRR so far."""

    kind: ClassVar[str] = "ranking"
    split: str
    mrr: float
    hits_at_1: float
    hits_at_3: float
    hits_at_10: float
    ndcg_at_5: float
    best: bool


QUANTILES = (5, 25, 50, 75, 95)
"""Per cent of the values that lie below each number of `Quantiles`."""

Quantiles = tuple[float, float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class SampledHealth:
    """How negatives look (method, sections 7 and 8): those that are entities, each as often as it weighs.

    outscores_random    share of negatives the decoder scores above a random one of the same query; ties count half
    outscores_positive  share scored above the query's true answer; ties count half
    false_negatives     share whose nearest entity makes a known fact of any split
    mean_score          mean decoder score
    scores, hardness    decoder scores, and scores less that of the query's true answer

    Fields with a default are None in files of earlier versions, and where there was nothing to compare.
    """

    outscores_random: float
    outscores_positive: float
    false_negatives: float
    mean_score: float
    scores: Quantiles | None = None
    hardness: Quantiles | None = None


@dataclass(frozen=True, kw_only=True)
class PathwayHealth(SampledHealth):
    """How the fakes of one pathway look: the same figures, and how many different fakes there are.

    effective_rank      exp of the entropy of the fakes' centred spectrum: directions in use
    distinct_nearest    number of different entities that are some fake's nearest
    effective_nearest   exp of the entropy of how often each entity is nearest: entities in even use
    mean_cosine         mean cosine of the fakes of different conditions (1 = all point one way)
    copy_spread         spread of several draws for one condition ÷ spread of all fakes (0 = copies)
    scale               median length of a fake ÷ median length of an entity
    between_heads       how far fakes differ between the heads of a relation; 1 = as far as entities differ
    between_relations   the same between the relations of a head; 0 for G_E, which does not know the relation
    …_neutral           the same two of the same pathway without FiLM, that is with α = 1 and β = 0
    proposed_…          of q, a fake read as a proposal (None where fakes are negatives themselves), means over queries:
                        entities in even use, KL from the decoder's beliefs, share on known facts, share of entities
                        that one drawn from it outscores, and by how much the KL of all together would grow without it
    conditions          number of different conditions looked at
    """

    effective_rank: float
    distinct_nearest: int
    effective_nearest: float | None = None
    mean_cosine: float
    copy_spread: float
    scale: float
    between_heads: float | None = None
    between_heads_neutral: float | None = None
    between_relations: float | None = None
    between_relations_neutral: float | None = None
    proposed_entities: float | None = None
    proposed_kl: float | None = None
    proposed_facts: float | None = None
    proposed_beats: float | None = None
    proposed_adds: float | None = None
    conditions: int


@dataclass(frozen=True)
class Diagnostics(Event):
    """The measured state of the negatives; pathways that a run does not have are `None`.

    `sampled` are the negatives of a run that are entities of its own choice, each as often as it weighs: None with
    uniform ones, where everyone is one, and where fakes are negatives themselves. `random_kl` is the KL divergence of
    uniform proposals from the decoder's beliefs, where there are proposals.
    `positive_scores`, `random_scores` and `random_hardness` are as in `SampledHealth`, of true answers and of random
    negatives; `num_entities` is that of the graph. All four are None in files of earlier versions.
    """

    kind: ClassVar[str] = "diagnostics"
    positive_score: float
    random_score: float
    random_outscores_positive: float
    random_false_negatives: float
    g_e: PathwayHealth | None = None
    g_r: PathwayHealth | None = None
    positive_scores: Quantiles | None = None
    random_scores: Quantiles | None = None
    random_hardness: Quantiles | None = None
    num_entities: int | None = None
    sampled: SampledHealth | None = None
    random_kl: float | None = None


@dataclass(frozen=True)
class Snapshot(Event):
    """Embeddings and fakes were kept; `file` is the name within `snapshots/`."""

    kind: ClassVar[str] = "snapshot"
    file: str


@dataclass(frozen=True)
class Finished(Event):
    """The run is over; the best valid MRR and its epoch (None without a valid split), and the seconds trained."""

    kind: ClassVar[str] = "finished"
    best_epoch: int | None
    best_mrr: float | None
    seconds: float


def to_dict(event: Event) -> dict[str, Any]:
    """The event as plain JSON values, its kind under `event`."""
    return {"event": event.kind, **dataclasses.asdict(event)}


def from_dict(record: Mapping[str, Any]) -> Event:
    """The event of which `to_dict` made this; KeyError for a kind that there is not."""
    return readers()[record["event"]].validate_python(record)


def readers() -> dict[str, TypeAdapter[Event]]:
    """For each kind of event what reads and checks its line; for those that were defined elsewhere, too."""
    for kind in Event.__subclasses__():
        if kind.kind not in _READERS:
            _READERS[kind.kind] = TypeAdapter(kind)
    return _READERS


_READERS: dict[str, TypeAdapter[Event]] = {}
