"""The negatives of one triplet against the model they come from, and the arithmetic of their scores."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from dans_core import Config, Trainer
from dans_core.batch import Batch
from dans_core.declared import DECLARED
from dans_core.decoders import DECODERS
from dans_core.diagnostics import draw_fakes
from dans_core.networks import borrowed
from dans_data.errors import InputError
from dans_lab.inspection import Question, Trained, encode, explain_score, inspect_triplet, propose
from dans_lab.runs.weights import load_weights

DRAWS = 3


def train(kg, decoder="complex", sampler="dans", **more) -> Trained:
    small = {"epochs": 2, "dim": 8, "negatives": 4, "warmup_epochs": 1, "eval_every": 1}
    config = Config(decoder=decoder, sampler=sampler, **small, **more)
    trainer = Trainer(kg, config)
    for _ in trainer:
        pass
    return Trained.of(load_weights(trainer.best_state, kg, config), kg, config)


@pytest.fixture(scope="module", params=sorted(DECODERS))
def trained(request, nations):
    return train(nations, request.param)


def queries(kg):
    """A test triplet, and the same asked backwards."""
    h, r, t = kg.test[3].tolist()
    return [(h, r, t), (t, r + kg.num_relations, h)]


def textbook(name: str, h: np.ndarray, r: np.ndarray, t: np.ndarray) -> np.ndarray:
    if name == "rotate":
        return -np.abs(h * r - t)
    return (h * r * np.conj(t)).real


def test_the_terms_of_every_negative_add_up_to_its_score_in_the_table(trained, nations):
    for query in queries(nations):
        question = Question(*query, draws=DRAWS, seed=4)
        seen = inspect_triplet(trained, question)
        for row in seen.negatives:
            sums = explain_score(trained, question, row.source, row.draw)
            assert sums.offset + sums.negative_terms.sum() == pytest.approx(row.score, abs=1e-4)
            assert sums.offset + sums.positive_terms.sum() == pytest.approx(seen.positive.score, abs=1e-4)
            for terms, tail in ((sums.positive_terms, sums.positive), (sums.negative_terms, sums.negative)):
                np.testing.assert_allclose(terms, textbook(trained.config.decoder, sums.h, sums.r, tail))


def test_the_arithmetic_reads_the_encoders_vectors(trained, nations):
    h, r, t = queries(nations)[1]
    entities = encode(trained.networks, nations)
    assert entities.shape == (nations.num_entities, trained.config.dim)
    question = Question(h, r, t, draws=DRAWS)
    last = inspect_triplet(trained, question).negatives[-1]
    sums = explain_score(trained, question, last.source, last.draw)
    for numbers, entity in ((sums.h, h), (sums.positive, t), (sums.negative, last.nearest_id)):
        read = np.concatenate([numbers.real, numbers.imag]) if np.iscomplexobj(numbers) else numbers
        np.testing.assert_allclose(read, entities[entity].numpy(), rtol=1e-6)
    if trained.config.decoder == "rotate":
        np.testing.assert_allclose(np.abs(sums.r), 1)


@pytest.mark.parametrize(("source", "draw"), [("G_E", DRAWS), ("G_E", -1), ("nobody", 0), ("positive", 0)])
def test_a_negative_that_was_not_drawn_is_a_mistake_in_words(trained, nations, source, draw):
    with pytest.raises(InputError, match="there is no draw"):
        explain_score(trained, Question(*queries(nations)[0], draws=DRAWS), source, draw)


def test_every_run_is_asked_about_the_same_random_entities(nations):
    dans, uniform = train(nations), train(nations, "distmult", "uniform")

    def drawn(run, seed):
        seen = inspect_triplet(run, Question(*queries(nations)[0], draws=8, seed=seed))
        return [row.nearest_id for row in seen.negatives if row.source == "random"]

    assert drawn(dans, 5) == drawn(uniform, 5) != drawn(uniform, 6)


@pytest.mark.parametrize("sampler", sorted(set(DECLARED) - {"dans", "uniform", "one-vs-all"}))
def test_a_loaded_sampler_draws_as_the_one_that_was_saved(nations, sampler):
    config = Config(sampler=sampler, epochs=4, dim=8, negatives=4, warmup_epochs=1, walks=3)
    trainer = Trainer(nations, config)
    for _ in trainer:
        pass
    state = trainer.state_dict()
    networks = load_weights(state, nations, config)
    entities = encode(networks, nations)
    batch = Batch.of_triplets(nations.train[:50], nations.num_relations)
    query = networks.model.queries(entities, batch.heads, batch.relations)
    before = pickled(networks.sampler.state_dict())
    ours, theirs, again = (
        borrowed(held.sampler, torch.Generator().manual_seed(3)).negatives(batch, entities, query)
        for held in (networks, trainer.networks, networks)
    )
    assert torch.equal(ours.ids, theirs.ids) and torch.equal(ours.ids, again.ids)
    assert pickled(networks.sampler.state_dict()) == before == pickled(state["sampler"])


def pickled(state) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


@pytest.mark.parametrize("sampler", ["self-adversarial", "nscaching", "one-vs-all", "kbgan"])
def test_negatives_of_another_sampler_are_shown_beside_random_ones(nations, sampler):
    run, query = train(nations, sampler=sampler), queries(nations)[0]
    question = Question(*query, draws=DRAWS)
    seen = inspect_triplet(run, question)
    assert seen == inspect_triplet(run, question)
    rows = [row for row in seen.negatives if row.source == "sampler"]
    assert [row.draw for row in rows] == ([] if sampler == "one-vs-all" else list(range(DRAWS)))
    for row in rows:
        assert row.cosine == 1 and row.nearest_id != query[2]
        assert row.known == nations.split_of(*query[:2], row.nearest_id)
        assert (row.weight is not None) == (sampler == "self-adversarial")
        sums = explain_score(run, question, row.source, row.draw)
        assert sums.offset + sums.negative_terms.sum() == pytest.approx(row.score, abs=1e-4)
    assert all(row.weight is None for row in seen.negatives if row.source == "random")


def test_the_negatives_of_nscaching_are_those_of_the_query_s_cache(nations):
    config = Config(sampler="nscaching", cache_size=2, epochs=6, dim=8, negatives=8, eval_every=1)
    trainer = Trainer(nations, config)
    for _ in trainer:
        pass
    networks = load_weights(trainer.best_state, nations, config)
    h, r, t = nations.train[5].tolist()
    cached = networks.sampler.cache[networks.sampler.facts.row_of(*torch.tensor([[h], [r]]))[0]][0].tolist()
    run = Trained.of(networks, nations, config)
    for seed in range(4):
        seen = inspect_triplet(run, Question(h, r, t, draws=8, seed=seed))
        drawn = {row.nearest_id for row in seen.negatives if row.source == "sampler"}
        assert t in cached or drawn <= set(cached)


def test_a_checkpoint_of_an_earlier_version_has_no_sampler_to_show(nations):
    config = Config(sampler="popularity", epochs=2, dim=8, eval_every=1)
    trainer = Trainer(nations, config)
    for _ in trainer:
        pass
    state = {name: part for name, part in trainer.best_state.items() if name != "sampler"}
    run = Trained.of(load_weights(state, nations, config), nations, config)
    seen = inspect_triplet(run, Question(*queries(nations)[0]))
    assert {row.source for row in seen.negatives} == {"random"}


def test_what_a_sampler_learned_on_other_data_is_a_mistake_in_words(nations):
    run = train(nations, sampler="nscaching")
    wrong = {
        "networks": run.networks.state_dict(),
        "sampler": {"cache": torch.zeros(3, 4, dtype=torch.int32)},
    }
    loaded = Trained.of(load_weights(wrong, nations, run.config), nations, run.config)
    with pytest.raises(InputError, match="does not fit data set"):
        inspect_triplet(loaded, Question(*queries(nations)[0]))


# --- what is proposed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decoder", "settings"),
    [
        *((decoder, {}) for decoder in sorted(DECODERS)),
        ("distmult", {"pathways": "G_R"}),
        ("distmult", {"pathways": "G_E", "tau": 0.3, "random_share": 0.2, "temperature": 2.0}),
    ],
)
def test_what_is_proposed_equals_its_definition_entity_by_entity(nations, decoder, settings):
    run = train(nations, decoder, **settings)
    config, entities, decode = run.config, run.entities, run.networks.model.decoder
    size = nations.num_entities
    for query in queries(nations):
        asked = Question(*query, draws=DRAWS, seed=3)
        found = propose(run, asked)
        h, r, answer = query
        state = np.random.SeedSequence([3, 2]).generate_state(1)
        batch = Batch.of_pairs(*torch.tensor([[h], [r], [answer]]), nations.num_relations)
        made = draw_fakes(
            run.networks, config, batch, entities, DRAWS, torch.Generator().manual_seed(int(state[0]))
        )
        assert list(found.readings) == list(made) == list(config.fakes)
        q = {}
        for name, fakes in made.items():
            cosines = [float(torch.cosine_similarity(fakes.made[0, 0], e, dim=0)) for e in entities]
            q[name] = normal(np.exp(np.array(cosines) / config.tau))
            np.testing.assert_allclose(found.readings[name], q[name], rtol=1e-3)
        with torch.no_grad():
            asks = run.networks.model.queries(entities, batch.heads, batch.relations)[0]
            scores = np.array([float(decode.score(asks, e)) for e in entities])
        p = normal(np.exp(scores))
        np.testing.assert_allclose(found.beliefs, p, rtol=1e-4)
        others = np.exp(config.temperature * scores)
        others[answer] = 0
        np.testing.assert_allclose(found.weights, normal(others), rtol=1e-4)

        share, even = config.random_share, np.full(size, 1 / size)
        mixed = (1 - share) * np.mean(list(q.values()), axis=0) + share * even
        np.testing.assert_allclose(found.mixed, mixed, rtol=1e-3)
        facts = [nations.split_of(h, r, entity) is not None for entity in range(size)]
        named = {**q, "mixture": mixed, "random": even}
        assert [figures.source for figures in found.figures] == list(named)
        for figures, of in zip(found.figures, named.values(), strict=True):
            assert figures.entities == pytest.approx(np.exp(-np.sum(of * np.log(of))), rel=1e-3)
            assert figures.kl == pytest.approx(divergence(p, of), rel=1e-3)
            assert figures.facts == pytest.approx(sum(of[facts]), rel=1e-3)
            if figures.source not in q:
                assert figures.adds is None
                continue
            rest = [of for name, of in q.items() if name != figures.source]
            without = (1 - share) * np.mean(rest, axis=0) + share * even if rest else even
            expected = divergence(p, without) - divergence(p, mixed)
            assert figures.adds == pytest.approx(expected, rel=1e-2, abs=1e-5)


def normal(values: np.ndarray) -> np.ndarray:
    return values / values.sum()


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    return float(np.sum(p * np.log(p / q)))


def test_the_foremost_entities_are_drawn_most_or_weigh_most_and_the_answer_is_among_them(nations):
    run = train(nations)
    query = queries(nations)[0]
    found = propose(run, Question(*query))
    again, other = propose(run, Question(*query)), propose(run, Question(*query, seed=1))
    assert found.figures == again.figures != other.figures
    ids = found.foremost(4, query[2])
    assert query[2] in ids and len(set(ids.tolist())) == len(ids) in (4, 5)
    assert (np.diff(found.mixed[ids]) <= 0).all()
    best = np.maximum(found.mixed, found.weights)
    left = np.setdiff1d(np.arange(nations.num_entities), ids)
    assert best[np.setdiff1d(ids, [query[2]])].min() >= best[left].max()
    assert len(found.foremost(1_000, query[2])) == nations.num_entities


def test_the_entities_shown_as_negatives_are_drawn_from_the_mixture_and_weigh_by_it(nations):
    run = train(nations)
    asked = Question(*queries(nations)[0], draws=50, seed=1)
    proposed, seen = propose(run, asked), inspect_triplet(run, asked)
    rows = [row for row in seen.negatives if row.source == "sampler"]
    assert len(rows) == 50 and all(row.cosine == 1 for row in rows)
    times = np.bincount([row.nearest_id for row in rows], minlength=nations.num_entities)
    # Systematic draws: within one of what its chance makes.
    assert (np.abs(times - 50 * proposed.mixed) < 1).all()
    logits = np.array(
        [
            -np.inf
            if row.nearest_id == asked.tail
            else run.config.temperature * row.score - np.log(proposed.mixed[row.nearest_id])
            for row in rows
        ]
    )
    expected = 50 * normal(np.exp(logits - logits.max()))
    np.testing.assert_allclose([row.weight for row in rows], expected, rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize(("sampler", "reading"), [("dans", "vectors"), ("uniform", "entities")])
def test_a_run_without_proposals_says_so(nations, sampler, reading):
    run = train(nations, sampler=sampler, reading=reading)
    with pytest.raises(InputError, match="reads no fakes as proposals"):
        propose(run, Question(*queries(nations)[0]))
