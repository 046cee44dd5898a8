"""What answers are worth, and when nothing: a dead model is not a perfect one, nor one below the floor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dans_core import Config, KnowledgeGraph
from dans_core.model import Model
from dans_core.ranking import evaluate, popularity_floor
from dans_lab.cli import main
from dans_lab.runs.run import Run
from dans_lab.worth import of_new_facts, outscored, warnings
from tests import small_run


def ranks_of(kg: KnowledgeGraph, dead: bool) -> np.ndarray:
    torch.manual_seed(0)
    model = Model(kg.num_entities, kg.num_relations, Config(dim=8))
    if dead:
        with torch.no_grad():
            model.entity.zero_()
    return evaluate(model.eval(), kg, "test").ranks.numpy()


def test_outscored_counts_every_other_candidate_once_and_ties_half(nations) -> None:
    ranks = ranks_of(nations, dead=False)
    plain = []
    for side, queries in enumerate(np.split(nations.queries("test"), 2)):
        for rank, (head, relation, _) in zip(ranks[:, side], queries, strict=True):
            known = nations.known_answers.contains(head, relation, np.arange(nations.num_entities))
            if others := int((~known).sum()):
                plain.append((rank - 1) / others)
    assert outscored(nations, "test", ranks) == pytest.approx(np.mean(plain))


def test_a_dead_model_is_named_and_so_is_one_below_the_floor(nations) -> None:
    floor = popularity_floor(nations, "test").ranks.numpy()
    dead = ranks_of(nations, dead=True)
    assert outscored(nations, "test", dead) == pytest.approx(0.5)
    nothing, below = warnings(nations, "test", dead, floor)
    assert nothing.startswith("scores do not tell facts from anything") and "50 % of cases" in nothing
    assert below.startswith("below the popularity floor: test MRR is ")
    assert warnings(nations, "test", np.ones_like(dead), floor) == []
    assert warnings(nations, "test", dead[:0], floor[:0]) == []


def test_new_facts_are_worth_what_held_out_facts_show(nations) -> None:
    floor = popularity_floor(nations, "test").ranks.numpy()
    perfect = np.ones_like(floor)
    said = of_new_facts(nations, "test", None, perfect, floor)
    assert "its MRR is 1.000, above the" in said and "its first answer was right in 100 % of them" in said
    relation = int(nations.array("test")[0, 1])
    count = int((nations.array("test")[:, 1] == relation).sum())
    assert f"asked {2 * count:,} quer" in of_new_facts(nations, "test", relation, perfect, floor)
    absent = next(r for r in range(nations.num_relations) if r not in nations.array("test")[:, 1])
    assert "is unknown" in of_new_facts(nations, "test", absent, perfect, floor)


@pytest.fixture
def dead_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose kept weights score all triplets alike."""
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    run = small_run.trained(tmp_path, "dead")
    state = torch.load(run.path / "best.pt", weights_only=True)
    for weight in state["networks"]["model"].values():
        weight.zero_()
    torch.save(state, run.path / "best.pt")
    return run


def test_the_terminal_warns_where_a_run_is_evaluated_and_asked(dead_run: Run, capsys) -> None:
    for command in (["evaluate", "dead"], ["predict", "dead", "--top", "2"]):
        assert main(command) == 0
        said = capsys.readouterr().out
        assert "warning: scores do not tell facts from anything" in said
        assert "warning: below the popularity floor" in said
        assert main([*command, "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["warnings"]) == 2
