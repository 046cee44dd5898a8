"""Halves of triplets that train shows: against a slow count, on real data, and in the terminal."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dans_core.kg import KnowledgeGraph
from dans_lab.cli import main
from dans_lab.halves import HALVES, halves, strata
from tests import small_run


@pytest.mark.parametrize("split", ["valid", "test"])
def test_halves_are_those_of_a_slow_count(split):
    kinships = KnowledgeGraph.load("kinships")
    train = kinships.array("train").tolist()
    heads, tails = {(h, r) for h, r, _ in train}, {(r, t) for _, r, t in train}
    wanted = [((h, r) in heads) + ((r, t) in tails) for h, r, t in kinships.array(split).tolist()]
    assert halves(kinships, split).tolist() == wanted


def test_the_shares_of_umls():
    """95 % both and none without either half: what a model is asked there it has nearly always half seen."""
    shown = halves(KnowledgeGraph.load("umls"), "test")
    assert round(100 * (shown == 2).mean()) == 95 and not (shown == 0).any()


def test_strata_are_means_over_their_triplets():
    rows = {"train": [("a", "r", "b"), ("c", "s", "d")], "valid": [("a", "r", "b")]}
    rows["test"] = [("a", "r", "d"), ("a", "r", "b"), ("b", "s", "a"), ("d", "s", "c")]
    kg = KnowledgeGraph.from_names(rows, "small")
    order = [tuple(map(int, row)) for row in kg.array("test")]
    shown = {("a", "r", "d"): 1, ("a", "r", "b"): 2, ("b", "s", "a"): 0, ("d", "s", "c"): 0}
    assert [HALVES[n] for n in halves(kg, "test")] == [
        HALVES[shown[kg.entities[h], kg.relations[r], kg.entities[t]]] for h, r, t in order
    ]
    ranks, floor = np.array([[1, 2], [4, 4], [1, 1], [2, 2]], dtype=float), np.full((4, 2), 2.0)
    found = {each.halves: each for each in strata(kg, "test", ranks, floor)}
    for number, name in enumerate(HALVES):
        of = [
            1 / rank for row, n in zip(ranks, halves(kg, "test"), strict=True) if n == number for rank in row
        ]
        assert found[name].mrr == pytest.approx(sum(of) / len(of)) and found[name].floor == 0.5
    assert sum(each.share for each in found.values()) == 1


def test_evaluate_tells_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    small_run.trained(tmp_path, "small", sampler="uniform")
    assert main(["evaluate", "small"]) == 0
    assert "both halves" in capsys.readouterr().out
    assert main(["evaluate", "small", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    parts = told["halves"]
    assert sum(part["triplets"] * part["mrr"] for part in parts) == pytest.approx(
        2 * told["count"] / 4 * told["mrr"]
    )
