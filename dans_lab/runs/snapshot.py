"""What a snapshot keeps of a run: embeddings, one fake a condition, and what D says of both."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dans_core.batch import Batch
from dans_core.diagnostics import DRAWS, copy_spread, draw_fakes, one_pair, random_of
from dans_core.gan import Discriminator
from dans_core.kernels.nearest import nearest
from dans_core.model import train_graph
from dans_core.samplers.uniform import draw_uniform
from dans_core.training import Trainer
from dans_lab.runs.snapshot_sample import studied_entities, studied_triplets

# Queries for which a conditional D is asked about an entity.
_ASKED = 64
# Numbers of a sample's relations: 2 MB in half precision.
_MAX_RELATION_NUMBERS = 1_000_000


@torch.no_grad()
def snapshot_of(trainer: Trainer) -> dict[str, np.ndarray]:
    """Embeddings, negatives and what is said of them as they are now, as arrays for an npz file.

    epoch (), entities (N, d) and relations (2|R|, d_r) in half precision; of each of Q queries the head and relation
    queries (Q, 2), one true answer answers (Q,) and one random entity random (Q,) as ids, and the decoder's scores of
    the two, score_true and score_random (Q,). Queries, answers, random entities and the noise are the same in every
    snapshot of a run, so what moves between epochs are the model and the generator.

    With a GAN also one fake per condition: the heads heads_e (C,) and the fakes fakes_e (C, d), fakes_r (Q, d), their
    scores for each query score_e, score_r (Q,); the probabilities of being real d_entities (N,), d_fakes_e (C,),
    d_fakes_r (Q,) by D_adv; those of being made by G_R, aux_fakes_e and aux_fakes_r, by D_aux, where it exists; and
    the copy spreads spread_e, spread_r. Of a pathway that does not exist there is none of them.

    A conditional D judges a fake of G_R for its own query. A fake of G_E gets the mean over the queries of its head,
    and an entity the mean over at most 64 of the queries, evenly chosen.

    Of a large graph the queries are those of `studied_triplets` and the entities those of `studied_entities`, S of
    them: entity_ids (S,) says which, ascending, and entities and d_entities have a row for each. What takes all
    entities to say is then kept beside them: their median_length (), and the nearest_e (C,), nearest_r (Q,) of the
    fakes with cosine_e, cosine_r. Relations too long for the file are left out.
    """
    networks, kg, config = trainer.networks, trainer.kg, trainer.config
    random = random_of(config, 0)
    chosen = studied_triplets(kg, config.dim)
    model = networks.model
    device = model.entity.device
    triplets = kg.train if chosen is None else torch.from_numpy(chosen)
    batch = Batch.of_triplets(triplets.to(device), kg.num_relations)
    entities = model.encode(train_graph(kg, device).plan())
    fakes = draw_fakes(networks, config, batch, entities, DRAWS, random)
    queries = model.queries(entities, batch.heads, batch.relations)
    # Of a sample, other runs on the same data have the same ones.
    picks = random if chosen is None else torch.Generator().manual_seed(0)
    answer = batch.answer[one_pair(batch, picks)]
    drawn = draw_uniform(answer, 1, kg.num_entities, picks)[:, 0]
    # Both directions of a triplet are asked, so the answers are the heads as well.
    ids = studied_entities(kg, config.dim, torch.cat([batch.answers, drawn]).cpu().numpy())
    kept = entities if ids is None else entities[torch.from_numpy(ids).to(device)]
    arrays = {"epoch": np.asarray(trainer.epoch), "entities": _half(kept)}
    if ids is None or model.relation.numel() <= _MAX_RELATION_NUMBERS:
        arrays["relations"] = _half(model.relation)
    arrays |= {
        "queries": _ids(torch.stack([batch.heads, batch.relations], dim=1)),
        "answers": _ids(answer),
        "random": _ids(drawn),
        "score_true": _half(model.decoder.score(queries, entities[answer])),
        "score_random": _half(model.decoder.score(queries, entities[drawn])),
    }
    if ids is not None:
        arrays["entity_ids"] = ids.astype(np.int32)
        arrays["median_length"] = np.asarray(entities.norm(dim=1).median().cpu(), np.float32)
    if networks.discriminator is None:
        return arrays
    arrays["d_entities"] = _half(_realness(networks.discriminator, kept, queries))
    if "G_E" in fakes:
        arrays["heads_e"] = _ids(batch.conditions)
    for name, side in fakes.items():
        key, first = name[-1].lower(), side.made[:, 0]
        adv, aux = _opinions(networks.discriminator, first, side.row, queries)
        arrays[f"fakes_{key}"] = _half(first)
        arrays[f"score_{key}"] = _half(model.decoder.score(queries, first[side.row]))
        arrays[f"d_fakes_{key}"] = _half(adv)
        arrays[f"spread_{key}"] = np.asarray(copy_spread(side.made), np.float32)
        if aux is not None:
            arrays[f"aux_fakes_{key}"] = _half(aux)
        if ids is not None:
            close, cosines = nearest(first, entities)
            arrays[f"nearest_{key}"] = _ids(close)
            arrays[f"cosine_{key}"] = _half(cosines)
    return arrays


def _realness(discriminator: Discriminator, entities: Tensor, queries: Tensor) -> Tensor:
    """The probability (N,) of being real; of a conditional D the mean over some of the queries."""
    if not discriminator.conditional:
        return discriminator(entities)[0].sigmoid()
    chosen = torch.linspace(0, len(queries) - 1, min(_ASKED, len(queries))).round().long().to(queries.device)
    # One query at a time: all together would be many times the entities.
    total = entities.new_zeros(len(entities))
    for query in queries[chosen]:
        total += discriminator(entities, query)[0].sigmoid()
    return total / len(chosen)


def _opinions(
    discriminator: Discriminator, fakes: Tensor, row: Tensor, queries: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Probabilities "real" and "made by G_R", (C,) each, of fakes (C, dim) of which row (Q,) is for each query."""
    adv, aux = discriminator(fakes[row], queries) if discriminator.conditional else discriminator(fakes)

    def each(logits: Tensor) -> Tensor:
        shares = logits.sigmoid()
        if not discriminator.conditional:
            return shares
        return shares.new_zeros(len(fakes)).index_add_(0, row, shares) / row.bincount()

    return each(adv), None if aux is None else each(aux)


def _half(values: Tensor) -> np.ndarray:
    """Half precision, unless a number is too large for it."""
    values = values.detach()
    fits = bool(values.abs().max() <= torch.finfo(torch.half).max)
    return (values.half() if fits else values).cpu().numpy()


def _ids(ids: Tensor) -> np.ndarray:
    return ids.cpu().numpy().astype(np.int32)
