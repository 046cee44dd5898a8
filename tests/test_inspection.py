"""The negatives of one triplet against the model they come from, and the arithmetic of their scores."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from dans_core import Config, Trainer, inspect_triplet, load_weights
from dans_core.decoders import DECODERS
from dans_core.errors import InputError
from dans_core.inspection import encode, explain_score

DRAWS = 3


def networks_of(kg, decoder="complex", sampler="dans"):
    config = Config(
        decoder=decoder, sampler=sampler, epochs=2, dim=8, negatives=4, warmup_epochs=1, eval_every=1
    )
    trainer = Trainer(kg, config)
    for _ in trainer:
        pass
    return load_weights(trainer.best_state, kg, config), config


@pytest.fixture(scope="module", params=sorted(DECODERS))
def trained(request, nations):
    return networks_of(nations, request.param)


def queries(kg):
    """A test triplet, and the same asked backwards."""
    h, r, t = kg.test[3].tolist()
    return [(h, r, t), (t, r + kg.num_relations, h)]


def textbook(name: str, h: np.ndarray, r: np.ndarray, t: np.ndarray) -> np.ndarray:
    if name == "rotate":
        return -np.abs(h * r - t)
    return (h * r * np.conj(t)).real


def test_the_terms_of_every_negative_add_up_to_its_score_in_the_table(trained, nations):
    networks, config = trained
    for query in queries(nations):
        seen = inspect_triplet(networks, nations, config, *query, draws=DRAWS, seed=4)
        for row in seen.negatives:
            sums = explain_score(networks, nations, config, *query, row.source, row.draw, draws=DRAWS, seed=4)
            assert sums.offset + sums.negative_terms.sum() == pytest.approx(row.score, abs=1e-4)
            assert sums.offset + sums.positive_terms.sum() == pytest.approx(seen.positive.score, abs=1e-4)
            for terms, tail in ((sums.positive_terms, sums.positive), (sums.negative_terms, sums.negative)):
                np.testing.assert_allclose(terms, textbook(config.decoder, sums.h, sums.r, tail))


def test_the_arithmetic_reads_the_encoders_vectors(trained, nations):
    networks, config = trained
    h, r, t = queries(nations)[1]
    entities = encode(networks, nations)
    seen = inspect_triplet(networks, nations, config, h, r, t, draws=DRAWS)
    last = seen.negatives[-1]
    sums = explain_score(networks, nations, config, h, r, t, last.source, last.draw, draws=DRAWS)
    for numbers, entity in ((sums.h, h), (sums.positive, t), (sums.negative, last.nearest_id)):
        read = np.concatenate([numbers.real, numbers.imag]) if np.iscomplexobj(numbers) else numbers
        np.testing.assert_allclose(read, entities[entity].numpy(), rtol=1e-6)
    if config.decoder == "rotate":
        np.testing.assert_allclose(np.abs(sums.r), 1)


@pytest.mark.parametrize(("source", "draw"), [("G_E", DRAWS), ("G_E", -1), ("nobody", 0), ("positive", 0)])
def test_a_negative_that_was_not_drawn_is_a_mistake_in_words(trained, nations, source, draw):
    networks, config = trained
    with pytest.raises(InputError, match="there is no draw"):
        explain_score(networks, nations, config, *queries(nations)[0], source, draw, draws=DRAWS)


def test_every_run_is_asked_about_the_same_random_entities(nations):
    dans, uniform = networks_of(nations), networks_of(nations, "distmult", "uniform")

    def drawn(networks, config, seed):
        seen = inspect_triplet(networks, nations, config, *queries(nations)[0], draws=8, seed=seed)
        return [row.nearest_id for row in seen.negatives if row.source == "random"]

    assert drawn(*dans, 5) == drawn(*uniform, 5) != drawn(*uniform, 6)


def test_encoded_entities_that_are_at_hand_change_nothing(trained, nations):
    networks, config = trained
    query, entities = queries(nations)[0], encode(networks, nations)
    assert entities.shape == (nations.num_entities, config.dim)
    assert inspect_triplet(networks, nations, config, *query) == inspect_triplet(
        networks, nations, config, *query, entities=entities
    )
    one, other = (
        explain_score(networks, nations, config, *query, "random", 1, entities=at_hand)
        for at_hand in (None, entities)
    )
    assert torch.equal(torch.from_numpy(one.negative_terms), torch.from_numpy(other.negative_terms))


def test_a_warm_process_has_imported_torch(umls, monkeypatch):
    """Else the first inspection would wait for that, which takes some seconds; with it, it takes a tenth of one."""
    from dans_app import inspecting
    from dans_app.aside import Aside
    from dans_core.runs import RECORDED, Run

    monkeypatch.setattr(inspecting, "_PROCESS", Aside("dans_app.inspecting"))
    inspecting.warm_up()
    run = Run(RECORDED / "umls-complex-dans")
    begin = time.perf_counter()
    inspecting.inspect(run, umls, "best", (1, 2, 3), 1, 12345)
    assert time.perf_counter() - begin < 1.5
