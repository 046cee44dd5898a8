"""What the negatives are like, measured: hardness, diversity, scale and false negatives.

Everything here runs in evaluation mode with random numbers of its own, so measuring never changes training. It runs
where the networks are; those random numbers are of the CPU.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from dans_core.batch import Batch, Negatives
from dans_core.config import Config
from dans_core.events import QUANTILES, Diagnostics, PathwayHealth, Quantiles, SampledHealth
from dans_core.gan import noise_scale, noisy
from dans_core.kernels.edges import train_graph
from dans_core.kernels.nearest import nearest
from dans_core.kernels.outscored import beaten, outscored
from dans_core.kernels.spread import adaptivity, copy_spread, effective_number, effective_rank, mean_cosine
from dans_core.kg import KnowledgeGraph
from dans_core.model import Model
from dans_core.networks import Networks, borrowed
from dans_core.proposals import Proposals, divergence, log_reading, mixture, weighed, without
from dans_core.samplers.dans import conditions_of
from dans_core.samplers.uniform import draw_uniform

if TYPE_CHECKING:
    from collections.abc import Iterator

# Draws per condition that the figures are taken over, and the most conditions looked at.
DRAWS = 5
_MAX_CONDITIONS = 2_000
# Queries times entities over which proposals are looked at.
_MOST_PROPOSED = 1 << 20


@dataclass(frozen=True)
class Fakes:
    """Fakes of one pathway in evaluation mode, K draws for each of C conditions.

    made     (C, K, dim)
    row      (Q,)  the condition of each query of the batch: for G_E its head, for G_R itself
    neutral  what the same pathway makes of the same noise without FiLM, if asked for and if it has one
    """

    made: Tensor
    row: Tensor
    neutral: Tensor | None


def draw_fakes(
    networks: Networks,
    config: Config,
    batch: Batch,
    entities: Tensor,
    draws: int,
    random: torch.Generator,
    neutral: bool = False,
) -> dict[str, Fakes]:
    """Fakes for the conditions of a batch by pathway, as the networks make them now; empty without a GAN.

    Those of `neutral` have α = 1 and β = 0 for every condition; all else of the trained pathways stays, also the
    running statistics of batch norm.
    """
    if networks.generator is None:
        return {}
    scale = noise_scale(config, entities)
    queries = networks.model.queries(entities, batch.heads, batch.relations)
    rows = {"G_E": batch.condition, "G_R": torch.arange(len(queries), device=queries.device)}
    found = {}
    with _evaluating(networks.generator):
        for name, pathway in networks.generator.pathways.items():
            condition, row = conditions_of(name, batch, entities, queries), rows[name]
            start, local = noisy(condition, draws, scale, random), pathway.localise(condition)
            found[name] = Fakes(pathway(start, local), row, pathway(start, []) if neutral and local else None)
    return found


@torch.no_grad()
def measure(networks: Networks, kg: KnowledgeGraph, config: Config, epoch: int) -> Diagnostics:
    """The figures of `Diagnostics` over the distinct train queries (at most 2,000, chosen by the seed)."""
    random = random_of(config, epoch)
    model = networks.model
    device = model.entity.device
    batch = _sample(kg, config, device)
    entities = model.encode(train_graph(kg, device).plan())
    queries = model.queries(entities, batch.heads, batch.relations)
    pair = one_pair(batch, random)
    answer = batch.answer[pair]
    positive = model.decoder.score(queries, entities[answer])
    drawn = draw_uniform(answer, DRAWS, kg.num_entities, random)
    by_random = model.decoder.score(queries.unsqueeze(1), entities[drawn])

    def against(scores: Tensor, facts: Tensor) -> dict[str, Any]:
        """The figures of all negatives, from the scores (Q, K) of K for each query, and which are facts."""
        hardness = scores - positive.unsqueeze(1)
        return {
            "outscores_random": outscored(scores, by_random[:, : scores.shape[1]]),
            "outscores_positive": outscored(scores, positive.unsqueeze(1)),
            "false_negatives": _share(facts),
            "mean_score": float(scores.mean()),
            "scores": _quantiles(scores),
            "hardness": _quantiles(hardness),
        }

    drawn_fakes = draw_fakes(networks, config, batch, entities, DRAWS, random, neutral=True)
    proposed: dict[str, dict[str, Any]] = {}
    given, random_kl = None, None
    if drawn_fakes and config.reading == "entities":
        proposals, proposed, random_kl = _proposals(drawn_fakes, kg, config, batch, model, entities, random)
        given = proposals.draw(batch, config.negatives, random)
        given = weighed(given, model.decoder, batch, entities, queries, config.temperature)
    elif networks.sampler is not None:
        given = borrowed(networks.sampler, random).negatives(batch, entities, queries)
    sides: dict[str, PathwayHealth] = {}
    for name, fakes in drawn_fakes.items():
        made = fakes.made
        scores = model.decoder.score(queries.unsqueeze(1), made[fakes.row])
        close, _ = nearest(made, entities)
        heads, relations = _between(name, made, fakes.row, batch, entities)
        heads_neutral, relations_neutral = _between(name, fakes.neutral, fakes.row, batch, entities)
        sides[name.lower()] = PathwayHealth(
            **against(scores, known(kg, batch, close[fakes.row])),
            effective_rank=effective_rank(made[:, 0]),
            distinct_nearest=len(close.unique()),
            effective_nearest=_short(effective_number(close)),
            mean_cosine=mean_cosine(made[:, 0]),
            copy_spread=copy_spread(made),
            scale=float(made.norm(dim=-1).median() / entities.norm(dim=-1).median().clamp_min(1e-12)),
            between_heads=heads,
            between_heads_neutral=heads_neutral,
            between_relations=relations,
            between_relations_neutral=relations_neutral,
            conditions=len(made),
            **proposed.get(name, {}),
        )
    sampled = None
    if given is not None and given.ids is not None:
        ids = _drawn_ids(given, pair, random)
        scores = model.decoder.score(queries.unsqueeze(1), entities[ids])
        sampled = SampledHealth(**against(scores, known(kg, batch, ids)))
    return Diagnostics(
        epoch=epoch,
        positive_score=float(positive.mean()),
        random_score=float(by_random.mean()),
        random_outscores_positive=outscored(by_random, positive.unsqueeze(1)),
        random_false_negatives=_share(known(kg, batch, drawn)),
        positive_scores=_quantiles(positive),
        random_scores=_quantiles(by_random),
        random_hardness=_quantiles(by_random - positive.unsqueeze(1)),
        num_entities=kg.num_entities,
        sampled=sampled,
        random_kl=random_kl,
        **sides,
    )


def _drawn_ids(given: Negatives, pair: Tensor, random: torch.Generator) -> Tensor:
    """Entities (Q, K ≤ `DRAWS`) among the negatives of the chosen pairs (Q,), each as often as it weighs."""
    ids = given.ids_of(pair)
    if given.weights is None:
        return ids[:, :DRAWS]
    # Counted as often as it weighs, a negative needs no weight in what follows. A row may weigh nothing at all.
    weights = given.weights[pair].cpu().clamp_min(1e-12)
    chosen = weights.multinomial(DRAWS, replacement=True, generator=random)
    return ids.gather(1, chosen.to(ids.device))


def _proposals(
    fakes: dict[str, Fakes],
    kg: KnowledgeGraph,
    config: Config,
    batch: Batch,
    model: Model,
    entities: Tensor,
    random: torch.Generator,
) -> tuple[Proposals, dict[str, dict[str, Any]], float]:
    """The proposals of the first draws, the figures of each pathway's, and the KL of uniform ones; of some entities.

    KL is that from the decoder's beliefs p: Σ_t p log(p / q), the mean over queries.
    """
    queries = model.queries(entities, batch.heads, batch.relations)
    size = min(len(entities), max(2, _MOST_PROPOSED // len(queries)))
    ids = torch.randperm(len(entities), generator=random)[:size].sort().values.to(entities.device)
    read, drawn = entities[ids], {name: made.made[:, 0] for name, made in fakes.items()}
    readings = {name: log_reading(made, read, config.tau) for name, made in drawn.items()}
    scores = model.decoder.score_all(queries, read)
    log_p = scores.log_softmax(1)
    facts = known(kg, batch, ids.expand(len(queries), -1)).to(entities.device)
    beats = beaten(scores)

    def kl(q: Tensor) -> float:
        return float(divergence(log_p, q).mean())

    mixed = mixture(readings, batch, config.random_share)
    figures = {}
    for name, reading in readings.items():
        q = reading.exp()[fakes[name].row]
        figures[name] = {
            "proposed_entities": _rounded(float(torch.special.entr(q).sum(1).exp().mean())),
            "proposed_kl": _rounded(kl(q)),
            "proposed_facts": _rounded(float((q * facts).sum(1).mean())),
            "proposed_beats": _rounded(float((q * beats).sum(1).mean())),
            "proposed_adds": _rounded(kl(without(name, readings, batch, config.random_share)) - kl(mixed)),
        }
    order = torch.randperm(size, generator=random).to(entities.device)
    proposals = Proposals(mixed, ids, order, batch.heads, batch.relations)
    return proposals, figures, _rounded(kl(torch.full_like(mixed, 1 / size)))


def known(kg: KnowledgeGraph, batch: Batch, tails: Tensor) -> Tensor:
    """Whether (h, r, tail) is a fact of any split, for tails (Q, K) of the batch's queries."""
    found = kg.known_answers.contains(
        *(ids.cpu().numpy() for ids in (batch.heads.unsqueeze(1), batch.relations.unsqueeze(1), tails))
    )
    return torch.from_numpy(found)


def _between(
    pathway: str, fakes: Tensor | None, index: Tensor, batch: Batch, entities: Tensor
) -> tuple[float | None, float | None]:
    """`adaptivity` between heads and between relations."""
    if fakes is None:
        return None, None
    heads = _short(adaptivity(fakes, index, batch.relations, entities))
    # All relations of a head get the same fakes from G_E, draw by draw.
    return heads, 0.0 if pathway == "G_E" else _short(adaptivity(fakes, index, batch.condition, entities))


def _quantiles(values: Tensor) -> Quantiles | None:
    """`QUANTILES` of all values; None where one is not finite."""
    ordered = np.sort(values.cpu().numpy(), axis=None)
    found = np.interp(np.array(QUANTILES) / 100 * (len(ordered) - 1), np.arange(len(ordered)), ordered)
    if not np.isfinite(found).all():
        return None
    low, below, middle, above, high = (_rounded(number) for number in found)
    return low, below, middle, above, high


def _short(number: Tensor | float) -> float | None:
    """Rounded for a short line of events; None for what is not finite."""
    return _rounded(float(number)) if math.isfinite(number) else None


def _rounded(number: float) -> float:
    """To four significant decimals."""
    return float(f"{number:.4g}")


def _sample(kg: KnowledgeGraph, config: Config, device: torch.device) -> Batch:
    """The distinct train queries as a batch; on a large graph those of randomly chosen triplets."""
    triplets = kg.train
    batch = Batch.of_triplets(triplets.to(device), kg.num_relations)
    if len(batch.heads) <= _MAX_CONDITIONS:
        return batch
    chosen = torch.randperm(len(triplets), generator=torch.Generator().manual_seed(config.seed))
    return Batch.of_triplets(triplets[chosen[: _MAX_CONDITIONS // 2]].to(device), kg.num_relations)


def one_pair(batch: Batch, random: torch.Generator) -> Tensor:
    """The position of one pair per query, each of its pairs being equally likely; shape (Q,)."""
    order = torch.argsort(batch.query, stable=True)
    starts = batch.counts.cumsum(0) - batch.counts
    offset = (torch.rand(len(starts), generator=random).to(starts.device) * batch.counts).long()
    return order[starts + offset]


def random_of(config: Config, epoch: int) -> torch.Generator:
    """The random numbers of what is measured or kept at an epoch, none of which training sees."""
    seed = np.random.SeedSequence([config.seed, epoch, 1]).generate_state(1)
    return torch.Generator().manual_seed(int(seed[0]))


def _share(mask: Tensor) -> float:
    return float(mask.float().mean())


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Batch norm by its running statistics, and left untouched."""
    before = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(before)
