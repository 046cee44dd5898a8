"""Ranks against PyKEEN's evaluator and a plain loop; the metrics; the popularity floor."""

from __future__ import annotations

import math
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pykeen.evaluation import RankBasedEvaluator

from dans_core import Config, KnowledgeGraph, Trainer, evaluate, popularity_floor
from dans_core.device import CPU
from dans_core.kernels import ranks as ranks_module
from dans_core.kernels.ranks import ScoreQueries, ranks, ranks_plain
from dans_core.ranking import Metrics, RankingResult, result_of
from dans_data import metrics
from tests.conftest import random_graph
from tests.examples import examples


def rank(scores: ScoreQueries, kg: KnowledgeGraph, split: str) -> RankingResult:
    """As `evaluate`, by scores that no model gives."""
    return result_of(ranks(scores, kg.queries(split), kg.known_answers, CPU), kg, split)


def slow_ranks(table: torch.Tensor, kg, split: str) -> list[list[float]]:
    """Of each triplet by the plain formula, from scores (N, 2|R|, N)."""
    found = ranks_plain(lambda h, r: table[h, r], kg.queries(split), kg.known_answers)
    return found.view(2, -1).T.tolist()


@examples(40)
@given(
    st.integers(0, 10_000),
    st.integers(1, 4),
    st.sampled_from([torch.float32, torch.float64, torch.int64]),
    st.sampled_from([1, 30, 1 << 22]),
)
def test_ranks_equal_a_plain_loop_on_tied_scores(seed, levels, dtype, budget):
    graph = random_graph(seed, n=120)
    table = torch.from_numpy(np.random.default_rng(seed).integers(0, levels, (12, 6, 12))).to(dtype)
    with mock.patch.object(ranks_module, "_MAX_SCORES", budget):
        fast = rank(lambda heads, relations: table[heads, relations], graph, "valid")
    assert fast.ranks.tolist() == slow_ranks(table, graph, "valid")


def test_infinite_scores_are_ranked():
    graph = random_graph(1, n=120)
    values = torch.tensor([-torch.inf, 0.0, torch.inf])
    table = values[torch.randint(3, (12, 6, 12), generator=torch.Generator().manual_seed(0))]
    fast = rank(lambda heads, relations: table[heads, relations], graph, "test")
    assert fast.ranks.tolist() == slow_ranks(table, graph, "test")


def test_a_query_is_scored_once_and_its_scores_are_left_alone(umls):
    table = torch.randn(umls.num_entities, generator=torch.Generator().manual_seed(0)).expand(2000, -1)
    asked = []

    def scores(heads, relations):
        asked.extend(zip(heads.tolist(), relations.tolist(), strict=True))
        return table[: len(heads)]

    # An expanded table has one row in memory: writing to it would fail.
    result = rank(scores, umls, "test")
    assert len(asked) == len(set(asked)) == len(np.unique(umls.queries("test")[:, :2], axis=0))
    assert torch.equal(rank(scores, umls, "test").ranks, result.ranks)


def test_a_split_without_triplets_has_no_ranks():
    graph = KnowledgeGraph([[0, 0, 1]], [], [], ["a", "b"], ["r"], "toy")
    result = popularity_floor(graph, "valid")
    assert result.ranks.shape == (0, 2) and result.relations == {} and result.mrr == result.count == 0


def pykeen_metrics(table: torch.Tensor, kg, split: str) -> dict[str, float]:
    """PyKEEN's filtered realistic metrics for scores (2, n, N): tails, then heads, of each triplet."""
    evaluator = RankBasedEvaluator(filtered=True)
    facts = torch.cat([kg.train, kg.valid, kg.test])
    triplets = getattr(kg, split)
    for target, column, scores in (("tail", 2, table[0]), ("head", 0, table[1])):
        others = [c for c in (0, 1, 2) if c != column]
        masked = scores.clone()
        for i, triplet in enumerate(triplets):
            same = (facts[:, others] == triplet[others]).all(dim=1)
            masked[i, facts[same, column]] = torch.nan
            masked[i, triplet[column]] = scores[i, triplet[column]]
        true = masked.gather(1, triplets[:, column, None])
        evaluator.process_scores_(triplets, target, masked, true)
    results = evaluator.finalize()
    return {
        side: results.get_metric(f"{side}.realistic.inverse_harmonic_mean_rank")
        for side in ("both", "tail", "head")
    } | {f"h{k}": results.get_metric(f"both.realistic.hits_at_{k}") for k in (1, 3, 10)}


@pytest.mark.parametrize("tied", [False, True])
def test_metrics_equal_pykeens_on_umls(umls, tied):
    source = torch.Generator().manual_seed(0)
    queries = torch.from_numpy(np.array(umls.queries("test")))
    n = len(umls.test)
    scores = torch.randn(2 * n, umls.num_entities, generator=source)
    if tied:
        scores = scores.round()
    # One score vector per distinct query, as a model gives.
    key = queries[:, 0] * 1000 + queries[:, 1]
    distinct, index = torch.unique(key, return_inverse=True)
    scores = scores[: len(distinct)]

    def scorer(heads, relations):
        return scores[torch.searchsorted(distinct, heads * 1000 + relations)].clone()

    ours = rank(scorer, umls, "test")
    theirs = pykeen_metrics(scores[index].view(2, n, -1), umls, "test")
    assert ours.mrr == pytest.approx(theirs["both"], abs=1e-6)
    assert ours.tail.mrr == pytest.approx(theirs["tail"], abs=1e-6)
    assert ours.head.mrr == pytest.approx(theirs["head"], abs=1e-6)
    for k in (1, 3, 10):
        assert getattr(ours, f"hits_at_{k}") == pytest.approx(theirs[f"h{k}"], abs=1e-6)


def test_chunks_change_nothing(nations, monkeypatch):
    model = Trainer(nations, Config(dim=8, epochs=2)).model
    whole = evaluate(model, nations, "test")
    monkeypatch.setattr(ranks_module, "_MAX_SCORES", 50)
    assert torch.equal(evaluate(model, nations, "test").ranks, whole.ranks)


def test_the_floor_of_umls_is_the_published_one(umls):
    floor = popularity_floor(umls, "test")
    assert (round(floor.mrr, 3), round(floor.hits_at_1, 3), round(floor.ndcg_at_5, 3)) == (
        0.661,
        0.506,
        0.688,
    )


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("most", [1, 1 << 22])
def test_the_floor_is_the_ranking_by_counts(umls, nations, split, most, monkeypatch):
    monkeypatch.setattr(metrics, "_MAX_SCORES", most)
    for graph in (nations, random_graph(3)) if most == 1 else (umls, nations):
        counts = torch.from_numpy(np.array(graph.slot_counts())).float()
        expected = rank(lambda heads, relations, counts=counts: counts[relations], graph, split).ranks
        floor = popularity_floor(graph, split)
        assert torch.equal(floor.ranks, expected)
        assert metrics.popularity_ranks(graph, split).tolist() == expected.T.flatten().tolist()


def test_equal_scores_rank_in_the_middle(nations):
    result = rank(lambda heads, relations: torch.zeros(len(heads), nations.num_entities), nations, "test")
    h, r, _ = nations.test[0].tolist()
    known = sum(len(ids) for ids in nations.answers(h, r).values())
    assert float(result.ranks[0, 0]) == 1 + (nations.num_entities - known) / 2


@given(st.lists(st.integers(2, 60).map(lambda k: k / 2), min_size=1, max_size=30))
def test_metrics_follow_their_formulas_and_bounds(ranks):
    metrics = Metrics.of(torch.tensor(ranks))
    n = len(ranks)
    assert metrics.mrr == pytest.approx(sum(1 / r for r in ranks) / n)
    assert metrics.ndcg_at_5 == pytest.approx(sum(1 / math.log2(1 + r) for r in ranks if r <= 5) / n)
    hits_at_5 = sum(r <= 5 for r in ranks) / n
    assert metrics.hits_at_1 - 1e-12 <= metrics.ndcg_at_5 <= hits_at_5 + 1e-12
    assert metrics.hits_at_1 <= metrics.hits_at_3 <= metrics.hits_at_10 and metrics.count == n


def test_sides_and_relations_add_up(nations):
    result = evaluate(Trainer(nations, Config(dim=8, epochs=2)).model, nations, "test")
    assert result.count == 2 * len(nations.test)
    assert result.mrr == pytest.approx((result.tail.mrr + result.head.mrr) / 2)
    weighted = sum(m.mrr * m.count for m in result.relations.values()) / result.count
    assert result.mrr == pytest.approx(weighted)
    relation = nations.test[0, 1]
    alone = Metrics.of(result.ranks[nations.test[:, 1] == relation])
    assert vars(result.relations[nations.relations[relation]]) == pytest.approx(vars(alone))
    assert result.ranks.shape == (len(nations.test), 2)


def test_one_score_that_is_no_number_is_refused(nations):
    scores = torch.zeros(4000, nations.num_entities)
    scores[0, 3] = torch.nan
    with pytest.raises(ValueError, match="not numbers"):
        rank(lambda heads, relations: scores[: len(heads)], nations, "test")


def test_scores_that_are_not_numbers_are_refused(nations):
    with pytest.raises(ValueError, match="not numbers"):
        rank(
            lambda heads, relations: torch.full((len(heads), nations.num_entities), torch.nan),
            nations,
            "test",
        )
