"""What holds for every sampler: it trains with every decoder, knows train alone, and goes on to the same numbers."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.declared import DECLARED
from dans_core.decoders import DECODERS
from dans_core.events import Losses
from dans_core.facts import TrainFacts

SMALL = {"dim": 16, "negatives": 8, "walks": 50, "generator_dim": 8}


def config(sampler: str, **settings: object) -> Config:
    values = {"epochs": 4, "warmup_epochs": 1, "eval_every": 100, "diagnose_every": 100}
    return Config(sampler=sampler, **(SMALL | values | settings))


def trained(kg: KnowledgeGraph, settings: Config) -> tuple[list[float], dict[str, torch.Tensor]]:
    trainer = Trainer(kg, settings)
    losses = [event.base for event in trainer if isinstance(event, Losses)]
    return losses, trainer.model.state_dict()


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def nations() -> KnowledgeGraph:
    return KnowledgeGraph.load("nations")


@pytest.fixture(scope="module")
def umls() -> KnowledgeGraph:
    return KnowledgeGraph.load("umls")


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("sampler", DECLARED)
def test_every_sampler_trains_on_umls_with_every_decoder(
    umls: KnowledgeGraph, sampler: str, decoder: str
) -> None:
    """The loss of the base model falls, step by step on the same batch, and stays finite."""
    settings = Config(sampler=sampler, decoder=decoder, epochs=6, warmup_epochs=2, eval_every=6)
    trainer = Trainer(umls, settings)
    losses = [event.base for event in trainer if isinstance(event, Losses)]
    assert np.isfinite(losses).all()
    assert losses[1] < losses[0], "within the warm-up, or with the same kind of negatives"
    assert trainer.best_mrr > 0.01


@pytest.mark.parametrize("sampler", DECLARED)
def test_no_sampler_sees_valid_or_test(nations: KnowledgeGraph, sampler: str) -> None:
    """Two graphs with the same train and other facts in valid and test train to the very same weights."""
    random = np.random.default_rng(0)
    train = nations.array("train")
    names = list(nations.entities), list(nations.relations)
    known = set(map(tuple, train.tolist()))
    every = [
        (h, r, t)
        for h in range(nations.num_entities)
        for r in range(nations.num_relations)
        for t in range(nations.num_entities)
        if (h, r, t) not in known
    ]
    chosen = np.array(every)[random.permutation(len(every))[:4000]]
    swapped = KnowledgeGraph(train, chosen[:2000], chosen[2000:], *names, "swapped")
    settings = config(sampler, filter_known=True)
    losses, weights = trained(nations, settings)
    losses_swapped, weights_swapped = trained(swapped, settings)
    assert losses == losses_swapped
    assert same(weights, weights_swapped)


def test_the_test_above_would_see_a_leak(nations: KnowledgeGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an index of all splits in the place of that of train, the same comparison finds other weights."""
    settings = config("uniform", filter_known=True)
    _, weights = trained(nations, settings)

    def leak(self: TrainFacts, kg: KnowledgeGraph, device: torch.device) -> None:
        original(self, kg, device)
        self.known = kg.known_answers

    original = TrainFacts.__init__
    monkeypatch.setattr(TrainFacts, "__init__", leak)
    _, leaked = trained(nations, settings)
    assert not same(weights, leaked)


def test_train_facts_hold_nothing_of_the_other_splits(nations: KnowledgeGraph) -> None:
    facts = TrainFacts(nations)
    assert len(facts.queries) == 2 * len(nations.array("train"))
    assert len(facts.known) == len(np.unique(facts.queries, axis=0))
    for split in ("valid", "test"):
        for h, r, t in nations.queries(split):
            assert facts.known.contains(h, r, t) == nations.known_in("train").contains(h, r, t)
    assert not any(value is nations for value in vars(facts).values()), "no way back to the graph"


@pytest.mark.parametrize("sampler", DECLARED)
@pytest.mark.parametrize("stop_at", [3, 8])
def test_a_resumed_run_comes_to_the_same_numbers(nations: KnowledgeGraph, sampler: str, stop_at: int) -> None:
    """Through a file, as a checkpoint goes, and with batches, so that a step meets only some queries."""
    settings = config(sampler, batch_size=700)
    straight = Trainer(nations, settings)
    for _ in straight:
        pass
    first = Trainer(nations, settings)
    for _ in range(stop_at):
        first.step()
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    second = Trainer(nations, settings)
    second.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    for _ in second:
        pass
    assert same(straight.networks.model.state_dict(), second.networks.model.state_dict())


@pytest.mark.parametrize("sampler", DECLARED)
def test_the_seed_decides_everything(nations: KnowledgeGraph, sampler: str) -> None:
    losses, weights = trained(nations, config(sampler))
    again, weights_again = trained(nations, config(sampler))
    other, _ = trained(nations, config(sampler, seed=1))
    assert losses == again and same(weights, weights_again)
    assert losses != other


@pytest.mark.parametrize("sampler", DECLARED)
def test_negatives_keep_the_contract(nations: KnowledgeGraph, sampler: str) -> None:
    """Shapes, ranges, mean weight 1, nothing with a history, never the pair's own answer; N_s of them in all."""
    settings = config(sampler)
    trainer = Trainer(nations, settings)
    while trainer.stage != "base" or trainer.warming_up:
        trainer.step()
    step = trainer._step_state()
    made = trainer._sampler.negatives(step.batch, *step.constants)
    pairs, queries = len(step.batch.answer), len(step.batch.heads)
    if made.everyone:
        assert made.ids is None and made.vectors is None and made.weights is None
        return
    count = 0
    if made.ids is not None:
        assert made.ids.shape[0] == pairs and made.ids.dtype == torch.long
        assert made.ids.min() >= 0 and made.ids.max() < nations.num_entities
        # A draw from a proposal may be the own answer, which then weighs nothing.
        assert made.chances is not None or (made.ids != step.batch.answer.unsqueeze(1)).all()
        count += made.ids.shape[1]
    if made.weights is not None:
        assert made.ids is not None and made.weights.shape == made.ids.shape
        assert not made.weights.requires_grad and (made.weights >= 0).all()
        assert float(made.weights.mean()) == pytest.approx(1, abs=1e-4)
    if made.vectors is not None:
        assert made.vectors.shape[0] == queries and made.vectors.shape[2] == settings.dim
        assert not made.vectors.requires_grad
        count += made.vectors.shape[1]
    assert count == settings.negatives


@pytest.mark.parametrize("sampler", DECLARED)
def test_a_query_that_train_does_not_have_gets_negatives_too(nations: KnowledgeGraph, sampler: str) -> None:
    """As inspection asks for them: one triplet of test, on a copy of the sampler."""
    from dans_core.batch import Batch

    trainer = Trainer(nations, config(sampler))
    for _ in trainer:
        pass
    queries = nations.queries("test")
    unseen = [row for row in queries if not len(nations.answers(int(row[0]), int(row[1]))["train"])]
    row = torch.tensor(np.array([unseen[0] if unseen else queries[0]]))
    h, r, t = (int(value) for value in row[0])
    triplet = [[h, r, t]] if r < nations.num_relations else [[t, r - nations.num_relations, h]]
    batch = Batch.of_triplets(torch.tensor(triplet), nations.num_relations)
    with torch.no_grad():
        entities = trainer.model.encode(trainer._graph.plan())
        asked = trainer.model.queries(entities, batch.heads, batch.relations)
        made = copy.deepcopy(trainer._sampler).negatives(batch, entities, asked)
    assert made.everyone or made.ids is not None
