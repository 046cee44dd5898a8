"""What a run tells while it trains: one small record for each kind of news.

A `Trainer` yields these, a run directory keeps them one a line in `events.jsonl`, and every curve and
warning on a screen is read back from there. Losses are means over one epoch; during warm-up, and with a
sampler that has no GAN, the fields of the GAN are `None`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from dans_data.errors import InputError


@dataclass(frozen=True)
class Event:
    """News of epoch `epoch` (1 is the first; 0 is before training)."""

    kind: ClassVar[str]
    epoch: int


@dataclass(frozen=True)
class Losses(Event):
    """The losses of one epoch (method, sections 2 to 4).

    `g_e` and `g_r` are L_G of each pathway, `film_e` and `film_r` the FiLM regularisers within them
    (before the factor λ). `d_adv` = ½ real + ¼ G_E + ¼ G_R and `d_aux` are the two heads of D; a D that
    guesses has ln 2 ≈ 0.693 in both. `d_real`, `d_fake_e`, `d_fake_r` are the mean probabilities D_adv gives to
    real answers and to the fakes of each pathway; `aux_accuracy` is how often D_aux names the pathway.
    `seconds` is the time this epoch took, `warm_up` whether the GAN was still waiting.

    Fields of a part that the settings leave out are None: a pathway, D_aux, a FiLM that is not trained. A pathway
    that is alone has the other half of `d_adv`.
    """

    kind: ClassVar[str] = "losses"
    base: float
    warm_up: bool
    seconds: float
    g_e: float | None = None
    g_r: float | None = None
    film_e: float | None = None
    film_r: float | None = None
    d_adv: float | None = None
    d_aux: float | None = None
    d_real: float | None = None
    d_fake_e: float | None = None
    d_fake_r: float | None = None
    aux_accuracy: float | None = None


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


@dataclass(frozen=True)
class PathwayHealth:
    """How the fakes of one pathway look (method, sections 7 and 8).

    outscores_random    share of fakes the decoder scores above a random negative of the same query
    outscores_positive  share scored above the query's true answer
    mean_score          mean decoder score
    mean_cosine         mean cosine of the fakes of different conditions (1 = all point one way)
    effective_rank      exp of the entropy of the fakes' centred spectrum: directions in use
    copy_spread         spread of several draws for one condition ÷ spread of all fakes (0 = copies)
    distinct_nearest    number of different entities that are some fake's nearest
    scale               median length of a fake ÷ median length of an entity
    false_negatives     share whose nearest entity makes a known fact of any split
    conditions          number of different conditions looked at
    effective_nearest   exp of the entropy of how often each entity is nearest: entities in even use
    scores, hardness    decoder scores, and scores less that of the query's true answer
    between_heads       how far fakes differ between the heads of a relation; 1 = as far as entities differ
    between_relations   the same between the relations of a head; 0 for G_E, which does not know the relation
    …_neutral           the same two of the same pathway without FiLM, that is with α = 1 and β = 0

    Fields with a default are None in files of earlier versions, and where there was nothing to compare.
    """

    outscores_random: float
    outscores_positive: float
    mean_score: float
    mean_cosine: float
    effective_rank: float
    copy_spread: float
    distinct_nearest: int
    scale: float
    false_negatives: float
    conditions: int
    effective_nearest: float | None = None
    scores: Quantiles | None = None
    hardness: Quantiles | None = None
    between_heads: float | None = None
    between_relations: float | None = None
    between_heads_neutral: float | None = None
    between_relations_neutral: float | None = None


@dataclass(frozen=True)
class SampledHealth:
    """How the negatives of a sampler without a GAN look: entities, each counted as often as it weighs.

    The fields are those of `PathwayHealth`, with "negative" for "fake".
    """

    outscores_random: float
    outscores_positive: float
    mean_score: float
    false_negatives: float
    scores: Quantiles | None = None
    hardness: Quantiles | None = None


@dataclass(frozen=True)
class Diagnostics(Event):
    """The measured state of the negatives; pathways that a run does not have are `None`.

    `sampled` are the negatives of a run whose sampler is neither DANS nor uniform, and None where everyone is one.
    `positive_scores`, `random_scores` and `random_hardness` are as in `PathwayHealth`, of true answers and of random
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


@dataclass(frozen=True)
class Snapshot(Event):
    """Embeddings and fakes were kept; `file` is the name within `snapshots/`."""

    kind: ClassVar[str] = "snapshot"
    file: str


@dataclass(frozen=True)
class HealthWarning(Event):
    """Something is wrong with the adversarial game, in words; `active` is False when it ended.

    `code` is one of collapse, copies, easier-than-random, d-too-strong, d-too-weak, false-negatives;
    `pathway` is "G_E", "G_R" or None.
    """

    kind: ClassVar[str] = "warning"
    code: str
    pathway: str | None
    message: str
    advice: str
    active: bool = True


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
    return _readers()[record["event"]].validate_python(record)


def first_problem(error: ValidationError) -> str:
    """The first complaint about a record, with its field."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def read_events(path: Path, data: bytes, offset: int) -> list[Event]:
    """The events in whole lines; `offset` is where they begin in the file.

    Kinds of later versions are passed over. InputError says at which byte is something else.
    """
    readers = _readers()
    found = []
    for line in data.splitlines(keepends=True):
        try:
            reader = readers.get(json.loads(line, parse_constant=_not_json)["event"])
            if reader is not None:
                found.append(reader.validate_json(line, strict=True))
        except ValidationError as error:
            raise InputError(f"{path}, byte {offset}: {first_problem(error)}") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(f"{path}, byte {offset}: not an event") from None
        offset += len(line)
    return found


@cache
def _readers() -> dict[str, TypeAdapter[Event]]:
    """For each kind of event what reads and checks its line."""
    return {kind.kind: TypeAdapter(kind) for kind in Event.__subclasses__()}


def _not_json(constant: str) -> None:
    """Python would read NaN and Infinity, which no event holds."""
    raise ValueError(constant)
