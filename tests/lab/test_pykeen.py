"""The negative sampler "dans" in PyKEEN's own pipeline, on graphs that PyKEEN itself brings."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

pytest.importorskip("pykeen")

from pykeen.datasets import Nations, dataset_resolver
from pykeen.losses import CrossEntropyLoss, Loss, NSSALoss, loss_resolver
from pykeen.models import model_resolver
from pykeen.pipeline import PipelineResult, pipeline
from pykeen.sampling import negative_sampler_resolver
from pykeen.training import training_loop_resolver
from pykeen.triples import TriplesFactory
from torch.nn import functional as F

from dans_core import KnowledgeGraph
from dans_core.batch import Batch
from dans_core.diagnostics import draw_fakes
from dans_core.proposals import log_reading, mixture
from dans_data.errors import InputError
from dans_lab.data_in_pykeen import NELL995, DansWN18RR
from dans_lab.prediction import load_run
from dans_lab.pykeen import DansNegativeSampler, DansTrainingLoop, Game
from dans_lab.pykeen import pool as pool_of
from dans_lab.pykeen.finished import Finished
from dans_lab.pykeen.game import _how
from dans_lab.pykeen.weights import ImportanceWeights, weighed
from tests.small_run import ROOT, trained

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


_OF_THE_PIPELINE = ("negative_sampler", "training_loop", "training_loop_kwargs", "loss")


def quick(
    more: dict[str, object], model: str = "distmult", epochs: int = 1, **given: object
) -> PipelineResult:
    """A pipeline of PyKEEN on Nations."""
    whole = {name: given.pop(name) for name in _OF_THE_PIPELINE if name in given}
    logging.disable(logging.WARNING)
    try:
        return pipeline(
            dataset="nations",
            model=model,
            model_kwargs={"embedding_dim": 8},
            **{"negative_sampler": "dans", **whole},
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
    counts = torch.stack([row.bincount(minlength=14) for row in drawn.ids])
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
    counts = torch.stack([(13 - row).bincount(minlength=14) for row in drawn.ids])
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
        counts = torch.stack([row.bincount(minlength=14) for row in drawn.ids])
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


# --- with importance weights -------------------------------------------------------------------------------------


def _losses() -> list[Loss]:
    """Each of PyKEEN's, as it makes them, that can be weighed."""
    kinds = sorted(loss_resolver.lookup_dict.items())
    return [
        *(kind() for name, kind in kinds if name != "doublemargin"),
        NSSALoss(margin=1.0, adversarial_temperature=0.5, reduction="sum"),
    ]


@pytest.mark.parametrize("loss", _losses(), ids=lambda loss: type(loss).__name__)
def test_with_weights_of_one_each_loss_is_pykeens(loss):
    source = torch.Generator().manual_seed(0)
    scores = [torch.randn(6, width, generator=source, requires_grad=True) for width in (1, 5)]
    ones = {"pos_weights": torch.ones(6), "neg_weights": torch.ones(6, 5)}
    own, ours = loss.process_slcwa_scores(*scores), weighed(loss).process_slcwa_scores(*scores, **ones)
    assert own != 0
    torch.testing.assert_close(ours, own)
    for one, other in zip(torch.autograd.grad(ours, scores), torch.autograd.grad(own, scores), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("loss", _losses(), ids=lambda loss: type(loss).__name__)
def test_a_whole_weight_is_as_good_as_drawing_it_so_often(loss):
    """Where as many are drawn in all: some thrice, some never."""
    source = torch.Generator().manual_seed(1)
    positive, drawn = (torch.randn(7, width, generator=source, requires_grad=True) for width in (1, 6))
    times = torch.tensor([3.0, 0, 1, 1, 0, 1]).repeat(7, 1)
    again = drawn[:, [0, 0, 0, 2, 3, 5]]
    weights = {"pos_weights": torch.ones(7), "neg_weights": times}
    found = weighed(loss).process_slcwa_scores(positive, drawn, **weights)
    expected = loss.process_slcwa_scores(positive, again)
    torch.testing.assert_close(found, expected)
    of = positive, drawn
    for one, other in zip(torch.autograd.grad(found, of), torch.autograd.grad(expected, of), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("loss", [CrossEntropyLoss(), NSSALoss()], ids=lambda loss: type(loss).__name__)
def test_negatives_without_any_weight_count_for_nothing(loss):
    positive, drawn = (torch.randn(3, width, requires_grad=True) for width in (1, 4))
    found = weighed(loss).process_slcwa_scores(positive, drawn, neg_weights=torch.zeros(3, 4))
    found.backward()
    assert torch.isfinite(found) and torch.isfinite(positive.grad).all() and not drawn.grad.any()


def _weighed_batch(run: Path, positives: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    weights = ImportanceWeights()
    negatives = sampler(run, num_negs_per_pos=count, weights=weights).corrupt_batch(positives)
    assert weights.weight_triples(positives).tolist() == [1.0] * len(positives)
    return negatives, weights.weight_triples(negatives)


def test_what_is_drawn_more_often_weighs_less(run):
    """1 / (N m) for chance m, on the scale of the N − 1 others; the own answer weighs nothing, facts stay."""
    positives = _TRIPLETS[:60]
    negatives, weights = _weighed_batch(run, positives, 8)
    tails = (negatives[..., 0] == positives[:, None, 0]) & (weights > 0)
    of = chances(run, positives[:, 0], positives[:, 1]).gather(1, negatives[..., 2])
    torch.testing.assert_close(weights[tails], (1 / (13 * of))[tails], rtol=1e-4, atol=1e-5)
    assert not (negatives == positives.unsqueeze(1)).all(-1).any() and (weights == 0).any()
    assert float(weights.max()) <= 14 / (0.3 * 13) + 1e-4, "the random share bounds it"
    facts = set(map(tuple, _TRIPLETS.tolist()))
    assert any(tuple(row) in facts for row in negatives[weights > 0].tolist())


def test_weighed_losses_are_those_of_all_other_entities(run, monkeypatch):
    """Value and gradient over many draws: the softmax over both sides, NSSA's, and a margin for each."""
    monkeypatch.setattr(pool_of, "DRAWS", 4096)
    torch.manual_seed(0)
    positives, count = _TRIPLETS[::250], 60_000
    model = model_resolver.make("distmult", triples_factory=_TRAIN, embedding_dim=8)
    negatives, weights = _weighed_batch(run, positives, count)

    def gradients(loss: torch.Tensor) -> list[torch.Tensor]:
        return list(torch.autograd.grad(loss, list(model.parameters())))

    rows = len(positives)
    own = torch.stack([F.one_hot(positives[:, side], 14).bool() for side in (0, 2)], dim=1).view(rows, 28)

    def found(name: str, scale: float) -> torch.Tensor:
        drawn = model.score_hrt(negatives.view(-1, 3)).view(rows, count)
        return weighed(loss_resolver.make(name)).process_slcwa_scores(
            model.score_hrt(positives), drawn, neg_weights=weights * scale
        )

    def expected(name: str) -> torch.Tensor:
        every = torch.cat([model.score_h(positives[:, 1:]), model.score_t(positives[:, :2])], dim=1)
        own_loss = loss_resolver.make(name)
        return own_loss.process_slcwa_scores(model.score_hrt(positives), every[~own].view(rows, 26))

    for name, scale in (("crossentropy", 26 / count), ("nssa", 1.0), ("marginranking", 1.0)):
        ours, full = found(name, scale), expected(name)
        torch.testing.assert_close(ours, full, rtol=1e-2, atol=0)
        for one, other in zip(gradients(ours), gradients(full), strict=True):
            torch.testing.assert_close(one, other, atol=0.03 * float(other.abs().max()), rtol=0)


@pytest.mark.parametrize("loss", ["crossentropy", "nssa", "softplus"])
def test_the_training_loop_brings_the_weights_into_the_loss(run, tmp_path, loss):
    """By one argument; in parts of a batch, and where another process draws, too."""
    seen: list[torch.Tensor] = []

    class Seen(Game):
        """A callback of PyKEEN's, which is told each batch."""

        def post_batch(self, epoch: int, batch: dict[str, torch.Tensor], **_: object) -> None:
            seen.append(batch["neg_weights"])

    result = quick(
        {"run": str(run), "num_negs_per_pos": 3},
        negative_sampler=None,
        training_loop="dans",
        loss=loss,
        callbacks=Seen(),
        batch_size=500,
        sub_batch_size=200,
        num_workers=1 if loss == "nssa" else 0,
    )
    assert training_loop_resolver.lookup("dans") is DansTrainingLoop
    assert seen and all(each.shape[1] == 3 for each in seen)
    drawn = torch.cat(seen)
    assert drawn.std() > 0.1 and abs(float(drawn.mean()) - 1) < 0.1
    assert type(result.model.loss) is loss_resolver.lookup(loss), "the model has its own loss again"
    result.save_to_directory(tmp_path)
    assert b"dans_lab" not in (tmp_path / "trained_model.pkl").read_bytes(), "opens without this program"


def test_a_game_is_weighed_too():
    """By weights of 1 in the warm-up, in which negatives are random."""
    game, seen = Game(warmup_epochs=1, play_every=1), []

    class Seen(Game):
        """A callback of PyKEEN's, which is told each batch."""

        def post_batch(self, epoch: int, batch: dict[str, torch.Tensor], **_: object) -> None:
            seen.append((epoch, batch["neg_weights"]))

    quick(
        {"game": game, "num_negs_per_pos": 2},
        epochs=3,
        training_loop="dans",
        loss="nssa",
        callbacks=[game, Seen()],
        batch_size=800,
    )
    assert all((weights == 1).all() for epoch, weights in seen if epoch == 1)
    assert all(weights.std() > 0 for epoch, weights in seen if epoch == 3)


def test_what_cannot_be_weighed_is_refused_in_a_sentence(run):
    given = {"run": str(run)}
    with pytest.raises(InputError, match="DoubleMarginLoss takes no weights of negatives"):
        quick(given, training_loop="dans", loss="doublemargin")
    with pytest.raises(
        InputError, match='not those of BasicNegativeSampler; expected negative_sampler="dans"'
    ):
        quick({}, training_loop="dans", negative_sampler="basic", loss="nssa")
    with pytest.raises(InputError, match="expected no loss_weighter beside it"):
        quick(given, training_loop="dans", training_loop_kwargs={"loss_weighter": "relation"}, loss="nssa")
    with pytest.raises(InputError, match="expected avoid_known=True in the place of filtered"):
        quick({**given, "filtered": True}, training_loop="dans", loss="nssa")


_ENTRY_POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][
    "pykeen.datasets"
]


def test_what_pykeen_loads_by_itself_lies_outside_the_package_that_needs_all_of_it():
    assert set(_ENTRY_POINTS.values()) == {
        f"{kind.__module__}:{kind.__name__}" for kind in (DansWN18RR, NELL995)
    }
    assert not DansWN18RR.__module__.startswith("dans_lab.pykeen")


@pytest.mark.slow
def test_an_installed_program_is_found_whatever_of_pykeen_is_imported_first(tmp_path):
    """PyKEEN loads the data sets by itself, in the middle of its own imports; our names come by the import."""
    installed = tmp_path / "dans_lab-0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: dans-lab\nVersion: 0\n")
    told = "".join(f"{name} = {place}\n" for name, place in _ENTRY_POINTS.items())
    (installed / "entry_points.txt").write_text(f"[pykeen.datasets]\n{told}")
    code = (
        "import pykeen.training\n"
        "from pykeen.datasets import dataset_resolver\n"
        "import sys\n"
        "print(*sorted(dataset_resolver.lookup_dict), 'dans_core' in sys.modules)\n"
        "import dans_lab.pykeen\n"
        "print(*pykeen.training.training_loop_resolver.lookup_dict)\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    sets, loops = done.stdout.splitlines()[-2:]
    assert {"danswn18rr", "nell995"} < set(sets.split()) and sets.endswith("False"), done.stderr
    assert "dans" in loops.split()


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
