"""What a snapshot keeps of a run: embeddings, one fake a condition, and what D says of both."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dans_core.batch import Batch
from dans_core.diagnostics import DRAWS, draw_fakes, one_pair, random_of
from dans_core.gan import Discriminator
from dans_core.kernels.edges import train_graph
from dans_core.kernels.nearest import nearest
from dans_core.kernels.spread import copy_spread
from dans_core.samplers.uniform import draw_uniform
from dans_core.training import Trainer
from dans_lab.runs.snapshot_sample import studied_entities, studied_triplets
from dans_lab.runs.snapshot_schema import MOST_RELATION_NUMBERS, packed

# Queries for which a conditional D is asked about an entity.
_ASKED = 64


@torch.no_grad()
def snapshot_of(trainer: Trainer) -> dict[str, np.ndarray]:
    """Embeddings, negatives and what is said of them as they are now: the arrays of `snapshot_schema.SCHEMA`.

    Queries, answers, random entities and the noise are the same in every snapshot of a run, so what moves between
    epochs are the model and the generator. Of a large graph the queries are those of `studied_triplets` and the
    entities those of `studied_entities`.

    A conditional D judges a fake of G_R for its own query. A fake of G_E gets the mean over the queries of its head,
    and an entity the mean over at most 64 of the queries, evenly chosen.
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
    found: dict[str, Tensor | float] = {
        "epoch": trainer.epoch,
        "entities": kept,
        "queries": torch.stack([batch.heads, batch.relations], dim=1),
        "answers": answer,
        "random": drawn,
        "score_true": model.decoder.score(queries, entities[answer]),
        "score_random": model.decoder.score(queries, entities[drawn]),
    }
    if ids is None or model.relation.numel() <= MOST_RELATION_NUMBERS:
        found["relations"] = model.relation
    if ids is not None:
        found["entity_ids"] = torch.from_numpy(ids)
        found["median_length"] = entities.norm(dim=1).median()
    if networks.discriminator is not None:
        found["d_entities"], aux = _of_entities(networks.discriminator, kept, queries)
        if aux is not None:
            found["aux_entities"] = aux
        for name, side in fakes.items():
            key, first = name[-1].lower(), side.made[:, 0]
            if name == "G_E":
                found["heads_e"] = batch.conditions
            adv, aux = _opinions(networks.discriminator, first, side.row, queries)
            found[f"fakes_{key}"] = first
            found[f"score_{key}"] = model.decoder.score(queries, first[side.row])
            found[f"d_fakes_{key}"] = adv
            found[f"spread_{key}"] = copy_spread(side.made)
            if aux is not None:
                found[f"aux_fakes_{key}"] = aux
            if ids is not None:
                found[f"nearest_{key}"], found[f"cosine_{key}"] = nearest(first, entities)
    return packed({name: torch.as_tensor(values).cpu().numpy() for name, values in found.items()})


def _of_entities(
    discriminator: Discriminator, entities: Tensor, queries: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Probabilities "real" and "made by G_R", (N,) each; of a conditional D the means over some of the queries."""
    if not discriminator.conditional:
        adv, aux = discriminator(entities)
        return adv.sigmoid(), None if aux is None else aux.sigmoid()
    chosen = torch.linspace(0, len(queries) - 1, min(_ASKED, len(queries))).round().long().to(queries.device)
    # One query at a time: all together would be many times the entities.
    heads = [discriminator(entities, query) for query in queries[chosen]]
    real = torch.stack([adv.sigmoid() for adv, _ in heads]).mean(0)
    told = [aux.sigmoid() for _, aux in heads if aux is not None]
    return real, torch.stack(told).mean(0) if told else None


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
