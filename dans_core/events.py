"""What a run tells while it trains: one small record for each kind of news.

A `Trainer` yields these, a run directory keeps them one a line in `events.jsonl`, and every curve and
warning on a screen is read back from there. Losses are means over one epoch; during warm-up, and with a
sampler that has no GAN, the fields of the GAN are `None`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, get_type_hints

from pydantic import TypeAdapter


@dataclass(frozen=True)
class Event:
    """News of epoch `epoch` (1 is the first; 0 is before training)."""

    kind: ClassVar[str]
    epoch: int


@dataclass(frozen=True)
class Told:
    """What is said of a field, where it stands: curves and tables are made from it.

    title, about      what it is called, and what it is
    form              how its number reads, as in `format`; "%" for a share
    random, positive  the fields of `Diagnostics` with the same of random negatives, and of true answers
    """

    title: str
    form: str = ".2f"
    random: str = ""
    positive: str = ""
    about: str = ""


@cache
def told(kind: type) -> dict[str, Told]:
    """The fields of an event, or of a record in one, of which something is said, in their order."""
    hints = get_type_hints(kind, include_extras=True)
    found = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    return {name: said for name, extras in found.items() for said in extras if isinstance(said, Told)}


_BASE = (
    "How well the embedding model tells true triplets from the negatives of this epoch. Harder negatives raise it, so "
    "a higher loss need not mean a worse model: look at the ranking."
)
_G_E = (
    "L_G of the entity-wise pathway, which makes fakes from the head alone; with the cross-entropy of its proposals "
    "where fakes are read as entities."
)
_G_R = (
    "L_G of the relation-wise pathway, which makes fakes from head and relation; with the cross-entropy of its "
    "proposals where fakes are read as entities."
)
_D_ADV = "The head of D that tells real entities from fakes."
_D_AUX = "The head of D that tells which pathway made a fake."


@dataclass(frozen=True)
class Losses(Event):
    """The losses of one epoch (method, sections 2 to 4).

    Beside those of which something is `told`, `film_e` and `film_r` are the FiLM regularisers within L_G (before the
    factor λ), `ce_e` and `ce_r` the cross-entropies of proposals within it (before the factor w_ce), `d_real`,
    `d_fake_e` and `d_fake_r` the mean probabilities that D_adv gives to real answers and to the fakes of each pathway,
    and `aux_accuracy` is how often D_aux names the pathway. `d_adv` = ½ real + ¼ G_E + ¼ G_R; a pathway that is alone
    has the other half. `seconds` is the time this epoch took, `warm_up` whether the GAN was still waiting.

    Fields of a part that the settings leave out are None: a pathway, D_aux, a FiLM that is not trained; those of the
    game also in an epoch without a round of it.
    """

    kind: ClassVar[str] = "losses"
    base: Annotated[float, Told("Base model loss", about=_BASE)]
    warm_up: bool
    seconds: float
    g_e: Annotated[float | None, Told("G_E, generator loss", about=_G_E)] = None
    g_r: Annotated[float | None, Told("G_R, generator loss", about=_G_R)] = None
    film_e: float | None = None
    film_r: float | None = None
    ce_e: float | None = None
    ce_r: float | None = None
    d_adv: Annotated[float | None, Told("D_adv, discriminator loss", about=_D_ADV)] = None
    d_aux: Annotated[float | None, Told("D_aux, discriminator loss", about=_D_AUX)] = None
    d_real: float | None = None
    d_fake_e: float | None = None
    d_fake_r: float | None = None
    aux_accuracy: float | None = None

    @property
    def played(self) -> bool:
        """Whether there was a round of the game in this epoch."""
        return any(loss is not None for loss in (self.g_e, self.g_r, self.d_adv))


LOSSES = tuple(told(Losses))
"""The losses that are drawn over the epochs."""


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

    outscores_random: Annotated[float, Told("outscores a random negative", "%")]
    outscores_positive: Annotated[float, Told("outscores the positive", "%", "random_outscores_positive")]
    false_negatives: Annotated[float, Told("nearest entity is a known fact", "%", "random_false_negatives")]
    mean_score: Annotated[float, Told("score, mean", ".2f", "random_score", "positive_score")]
    scores: Annotated[Quantiles | None, Told("score", ".2f", "random_scores", "positive_scores")] = None
    hardness: Annotated[Quantiles | None, Told("against the positive", "+.2f", "random_hardness")] = None


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

    effective_rank: Annotated[float, Told("effective rank", ".1f")]
    distinct_nearest: Annotated[int, Told("nearest entities, different", ",.0f")]
    effective_nearest: Annotated[float | None, Told("nearest entities, in even use", ".1f")] = None
    mean_cosine: Annotated[float, Told("mean cosine of two fakes")]
    copy_spread: Annotated[float, Told("copy spread", ".3f")]
    scale: Annotated[float, Told("length against an entity")]
    between_heads: Annotated[float | None, Told("between heads")] = None
    between_heads_neutral: Annotated[float | None, Told("between heads, without FiLM")] = None
    between_relations: Annotated[float | None, Told("between relations")] = None
    between_relations_neutral: Annotated[float | None, Told("between relations, without FiLM")] = None
    proposed_entities: Annotated[float | None, Told("proposed entities, in even use", ".1f")] = None
    proposed_kl: Annotated[float | None, Told("proposal, KL from the decoder", ".2f", "random_kl")] = None
    proposed_facts: Annotated[float | None, Told("proposed, known facts", "%")] = None
    proposed_beats: Annotated[float | None, Told("proposed, outscores other entities", "%")] = None
    proposed_adds: Annotated[float | None, Told("proposal, what it adds (KL)", "+.3f")] = None
    conditions: Annotated[int, Told("conditions looked at", ",.0f")]


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
class HealthWarning(Event):
    """Something is wrong with the negatives, the game or the ranking; `active` is False when it ended.

    `code` is one of collapse, copies, easier-than-random, false-negatives, unstable, d-too-strong, d-too-weak,
    below-floor, tells-nothing; `pathway` is "G_E", "G_R" or None. `figures` are what was found; in files of earlier
    versions there are none. `message` and `advice` are that in words, empty until `dans_lab.health_words` puts it so.
    """

    kind: ClassVar[str] = "warning"
    code: str
    pathway: str | None
    message: str = ""
    advice: str = ""
    active: bool = True
    figures: dict[str, float] = dataclasses.field(default_factory=dict)


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


@cache
def readers() -> dict[str, TypeAdapter[Event]]:
    """For each kind of event what reads and checks its line."""
    return {kind.kind: TypeAdapter(kind) for kind in Event.__subclasses__()}
