"""The negative sampler "dans" in PyKEEN's own pipeline, on graphs that PyKEEN itself brings."""

from __future__ import annotations

import gc
import json
import logging
from pathlib import Path

import pytest
import torch

pytest.importorskip("pykeen")

from pykeen.datasets import Nations, dataset_resolver
from pykeen.models import model_resolver
from pykeen.pipeline import PipelineResult, pipeline
from pykeen.sampling import negative_sampler_resolver
from pykeen.triples import TriplesFactory

from dans_core import KnowledgeGraph
from dans_core.batch import Batch
from dans_core.diagnostics import draw_fakes
from dans_core.proposals import log_reading, mixture
from dans_data.errors import InputError
from dans_lab.prediction import load_run
from dans_lab.pykeen import DansNegativeSampler, Game
from dans_lab.pykeen.datasets import NELL995, DansWN18RR
from dans_lab.pykeen.finished import Finished
from dans_lab.pykeen.game import _how
from tests.small_run import trained

_TRAIN = Nations().training
_TRIPLETS = _TRAIN.mapped_triples
_SIZES = {"num_entities": _TRAIN.num_entities, "num_relations": _TRAIN.num_relations}


@pytest.fixture(scope="module", autouse=True)
def garbage_is_quickly_collected():
    """PyKEEN does so after each epoch, which takes a second where much is imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without noise its proposals are always the same."""
    root = tmp_path_factory.mktemp("runs")
    return trained(root, "for-pykeen", reading="entities", sigma=0.0, random_share=0.3).path


def sampler(run: Path, **more: object) -> DansNegativeSampler:
    return DansNegativeSampler(mapped_triples=_TRIPLETS, **_SIZES, run=run, **more)


def quick(
    more: dict[str, object], model: str = "distmult", epochs: int = 1, **given: object
) -> PipelineResult:
    """A pipeline of PyKEEN on Nations."""
    logging.disable(logging.WARNING)
    try:
        return pipeline(
            dataset="nations",
            model=model,
            model_kwargs={"embedding_dim": 8},
            negative_sampler="dans",
            negative_sampler_kwargs=more,
            training_kwargs={"num_epochs": epochs, "use_tqdm": False, "pin_memory": False, **given},
            evaluation_kwargs={"use_tqdm": False},
            random_seed=0,
            device="cpu",
        )
    finally:
        logging.disable(logging.NOTSET)


def test_the_pipeline_takes_it_by_name(run, tmp_path):
    assert negative_sampler_resolver.lookup("dans") is DansNegativeSampler
    result = quick({"run": str(run), "num_negs_per_pos": 3, "filtered": True, "filterer": "python-set"})
    assert len(result.losses) == 1 and 0 < result.get_metric("mrr") < 1
    result.save_to_directory(tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["losses"] == result.losses


@pytest.mark.parametrize("count", [1, 2, 5])
def test_heads_and_tails_are_replaced_in_turn(run, count):
    positives = _TRIPLETS[:40]
    negatives = sampler(run, num_negs_per_pos=count).corrupt_batch(positives)
    assert negatives.shape == (40, count, 3)
    other = negatives != positives.unsqueeze(1)
    assert (other.sum(-1) == 1).all() and not other[..., 1].any()
    assert int(other[..., 0].sum()) == int(other[..., 2].sum()) == 20 * count
    tails = sampler(run, num_negs_per_pos=count, corruption_scheme=["tail"]).corrupt_batch(
        positives.view(4, 10, 3)
    )
    assert tails.shape == (4, 10, count, 3)
    assert (tails[..., :2] == positives.view(4, 10, 1, 3)[..., :2]).all()


def test_the_filterer_of_pykeen_is_asked(run):
    positives = _TRIPLETS[:200]
    negatives, valid = sampler(run, num_negs_per_pos=4, filterer="python-set").sample(positives)
    facts = set(map(tuple, _TRIPLETS.tolist()))
    expected = [[tuple(row) not in facts for row in rows] for rows in negatives.tolist()]
    assert valid is not None and valid.tolist() == expected
    assert 0 < int(valid.sum()) < valid.numel()


def test_facts_of_train_are_not_proposed(run):
    """Those that are left are drawn at random, in the place of a fact."""
    positives = _TRIPLETS[:400]
    facts = set(map(tuple, _TRIPLETS.tolist()))

    def share(avoid: bool) -> float:
        negatives = sampler(run, num_negs_per_pos=4, avoid_known=avoid).corrupt_batch(positives).view(-1, 3)
        return sum(tuple(row) in facts for row in negatives.tolist()) / len(negatives)

    assert share(True) < 0.8 * share(False)
    pool = sampler(run)._pool
    pool._fill()
    assert pool._ids is not None
    kept = [
        (key // 110, key % 110, entity)
        for key, row in zip(pool._keys.tolist(), pool._ids.tolist(), strict=True)
        for entity in row
        if entity >= 0
    ]
    known = {(h, r, t) for h, r, t in facts} | {(t, r + 55, h) for h, r, t in facts}
    assert kept and not known & set(kept)


def chances(run: Path, heads: torch.Tensor, relations: torch.Tensor) -> torch.Tensor:
    """m of queries over the entities, by the formulas and what `inspect` calls the fakes of a run."""
    loaded = load_run(run)
    trained, kg = loaded.trained, loaded.kg
    rows = []
    for head, relation in zip(heads.tolist(), relations.tolist(), strict=True):
        one = Batch.of_pairs(*torch.tensor([[head], [relation], [0]]), kg.num_relations)
        fakes = draw_fakes(trained.networks, trained.config, one, trained.entities, 1, torch.Generator())
        read = {
            name: log_reading(of.made[:, 0], trained.entities, trained.config.tau)
            for name, of in fakes.items()
        }
        rows.append(mixture(read, one, trained.config.random_share)[0].detach())
    return torch.stack(rows)


def test_each_entity_is_drawn_as_often_as_the_run_proposes_it(run):
    heads, relations = torch.tensor([3, 3, 7, 0]), torch.tensor([0, 4, 60, 109])
    source = Finished(run, _TRIPLETS, **_SIZES, labels=None)
    drawn = source.draw(heads, relations, 1000)
    assert drawn is not None
    counts = torch.stack([row.bincount(minlength=14) for row in drawn])
    assert (counts - 1000 * chances(run, heads, relations)).abs().max() < 1.01
    assert counts.max() > 2 * counts.min() + 20, "not uniform"


def test_entities_and_relations_are_found_by_their_labels(run):
    turned = {name: 13 - i for name, i in _TRAIN.entity_to_id.items()}
    relations = {name: 54 - i for name, i in _TRAIN.relation_to_id.items()}
    rows = torch.stack([13 - _TRIPLETS[:, 0], 54 - _TRIPLETS[:, 1], 13 - _TRIPLETS[:, 2]], dim=1)
    factory = TriplesFactory(rows, turned, relations)
    with pytest.raises(InputError, match="pass the training factory as labels in negative_sampler_kwargs"):
        Finished(run, rows, **_SIZES, labels=None)
    source = Finished(run, rows, **_SIZES, labels=factory)
    drawn = source.draw(torch.tensor([13 - 3, 13 - 3]), torch.tensor([54 - 4, 54 - 4 + 55]), 1000)
    assert drawn is not None
    counts = torch.stack([(13 - row).bincount(minlength=14) for row in drawn])
    expected = chances(run, torch.tensor([3, 3]), torch.tensor([4, 4 + 55]))
    assert (counts - 1000 * expected).abs().max() < 1.01


def test_a_graph_that_lacks_entities_of_the_run(run):
    some = _TRAIN.clone_and_exchange_triples(_TRIPLETS[(_TRIPLETS[:, ::2] < 9).all(1)])
    labels = TriplesFactory.from_labeled_triples(some.label_triples(some.mapped_triples))
    assert labels.num_entities == 9
    asked = DansNegativeSampler(
        mapped_triples=labels.mapped_triples,
        num_entities=9,
        num_relations=labels.num_relations,
        run=run,
        labels=labels,
        num_negs_per_pos=8,
    )
    negatives = asked.corrupt_batch(labels.mapped_triples)
    assert negatives[..., ::2].min() == 0 and negatives[..., ::2].max() == 8


def test_inverse_triplets_of_pykeen_are_the_reciprocals_of_the_run(run):
    both = Nations(create_inverse_triples=True).training
    rows = both._add_inverse_triples_if_necessary(both.mapped_triples)
    assert both.num_relations == 110
    sources = [Finished(run, rows, 14, 110, labels) for labels in (None, both)]
    expected = chances(run, torch.tensor([3, 3]), torch.tensor([4, 4 + 55]))
    for source in sources:
        drawn = source.draw(torch.tensor([3, 3, 3]), torch.tensor([8, 9, 8 + 110]), 1000)
        assert drawn is not None
        counts = torch.stack([row.bincount(minlength=14) for row in drawn])
        assert (counts - 1000 * expected[[0, 1, 1]]).abs().max() < 1.01


def test_what_does_not_fit_is_refused_in_a_sentence(run, tmp_path):
    given = {"mapped_triples": _TRIPLETS, **_SIZES}
    with pytest.raises(InputError, match="needs either a run, or a game"):
        DansNegativeSampler(**given)
    with pytest.raises(InputError, match="DANS proposes heads and tails"):
        sampler(run, corruption_scheme=["relation"])
    with pytest.raises(InputError, match="was trained on umls, whose facts by number are not these"):
        sampler("umls-complex-dans")
    with pytest.raises(
        InputError, match='14 of 14 entities are none of the run umls-complex-dans, such as "brazil"'
    ):
        sampler("umls-complex-dans", labels=_TRAIN)
    with pytest.raises(InputError, match="umls-complex-uniform has no generator"):
        sampler("umls-complex-uniform")
    with pytest.raises(InputError, match="decoder is no setting of a game"):
        Game(decoder="rotate")
    with pytest.raises(InputError, match="tau"):
        Game(tau=0)


@pytest.mark.parametrize("model", ["distmult", "complex", "rotate", "transe", "rgcn"])
def test_a_game_knows_what_queries_of_the_model_score(model):
    """By PyKEEN's own scores, both sides."""
    torch.manual_seed(0)
    made = model_resolver.make(model, triples_factory=_TRAIN, embedding_dim=8).eval()
    game = Game().joined_by(_TRIPLETS, **_SIZES)
    game._training_loop = type("Loop", (), {"model": made})()
    entities, queries = game._vectors()
    head, relation, tail = _TRIPLETS[:30].T
    decoder = _how(made)[1]
    with torch.no_grad():
        tails = decoder.score_all(queries(head, relation), entities)
        heads = decoder.score_all(queries(tail, relation + 55), entities)
        torch.testing.assert_close(tails, made.score_t(_TRIPLETS[:30, :2]), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(heads, made.score_h(_TRIPLETS[:30, 1:]), rtol=1e-4, atol=1e-4)


def test_a_game_is_played_along():
    """Its proposals come nearer to what the model believes."""
    game = Game(warmup_epochs=1, play_every=1, lr_g=5e-3)
    quick({"game": game}, epochs=3, callbacks=game, batch_size=40)
    assert len(game.losses) == 2 * 40
    assert {"g_e", "g_r", "ce_e", "ce_r", "d_adv", "d_aux"} <= set(game.losses[0])
    assert sum(each["ce_r"] for each in game.losses[-8:]) < sum(each["ce_r"] for each in game.losses[:8])


def test_a_game_that_cannot_be_played_says_so():
    game = Game(warmup_epochs=0)
    with pytest.raises(InputError, match=r'give it as \{"game": game\}'):
        quick({"game": Game()}, callbacks=game)
    with pytest.raises(InputError, match="not of HolEInteraction; a finished run can propose for any model"):
        quick({"game": game}, model="hole", callbacks=game)


@pytest.mark.parametrize("kind", [DansWN18RR, NELL995])
def test_data_sets_of_ours_are_those_of_a_run(kind, monkeypatch):
    kg = KnowledgeGraph.load("nations")
    monkeypatch.setattr(kind, "source", "nations")
    found = kind()
    for split, factory in (("train", found.training), ("valid", found.validation), ("test", found.testing)):
        assert (factory.mapped_triples == getattr(kg, split)).all()
        assert list(factory.entity_to_id) == list(kg.entities)
    assert kind(create_inverse_triples=True).training.num_relations == 110
    assert dataset_resolver.normalize(kind.__name__) == dataset_resolver.normalize(kind.__name__.lower())
