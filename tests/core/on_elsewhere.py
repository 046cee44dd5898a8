"""Training, ranking, diagnosing and going on, on a device that is not the CPU: `test_device.py` runs this.

It has a process of its own, as `elsewhere.py` says.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import epoch, layer, quality, ranking, report, scaling, timing
from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.declared import DECLARED
from dans_core.device import on_cpu
from dans_core.events import Snapshot, to_dict
from dans_core.facts import TrainFacts
from dans_core.kernels.products import linear
from dans_core.ranking import evaluate
from dans_lab.presets import PRESETS
from dans_lab.runs import process
from dans_lab.runs.drive import drive
from dans_lab.runs.snapshot import snapshot_of
from dans_lab.runs.writer import RunWriter
from tests.conftest import random_graph
from tests.core.elsewhere import DEVICE, Elsewhere, Refused

CASES = [
    (sampler, decoder, large)
    for place, sampler in enumerate(DECLARED)
    for decoder, large in (("complex", False), (("distmult", "rotate")[place % 2], True))
]
# What is asked of DANS and of the loss in a few settings only.
MORE = [
    {"conditional_d": True, "sigma_relative": True, "aux_weight_g": 0.3, "condition_chunk": 7},
    {"sampler": "dans", "film": "none", "pathways": "G_R", "loss": "softmax"},
    {"sampler": "popularity", "filter_known": True},
    {"sampler": "uniform", "filter_known": True, "loss": "softmax"},
    {"sampler": "sans", "walks": 0},
    {"sampler": "self-adversarial", "shared": 3},
    {"sampler": "dans", "shared": 2, "loss": "softmax"},
    # Without FiLM, since batch norm cancels the bias of a hidden unit of β that is on the same side for every
    # condition of a small batch, and Adam would make steps of the rounding that is left.
    {"sampler": "dans", "reading": "entities", "film": "none", "play_every": 2, "loss": "softmax"},
    {"sampler": "uniform", "average": 0.9},
]


@pytest.fixture
def graph() -> KnowledgeGraph:
    return random_graph(0)


@contextmanager
def sizes(large: bool) -> Iterator[None]:
    """With `large`, a small graph goes all the ways that large ones go."""
    with pytest.MonkeyPatch.context() as patch:
        if large:
            patch.setattr("dans_core.kernels.messages._DENSE", 0)
            for module in (
                "kernels.scores",
                "kernels.outside",
                "samplers.baselines.pools",
                "samplers.baselines.mcns",
            ):
                patch.setattr(f"dans_core.{module}._TABLE", 0)
            patch.setattr("dans_core.diagnostics._MAX_CONDITIONS", 10)
            patch.setattr("dans_lab.runs.snapshot_sample.MOST_QUERIES", 10)
            patch.setattr("dans_lab.runs.snapshot_sample.MOST_ENTITIES", 4)
        yield


def config(large: bool = False, **given: Any) -> Config:
    """A run of two epochs with everything in it, one of them warm-up."""
    every = {"epochs": 2, "warmup_epochs": 1, "eval_every": 1, "diagnose_every": 2, "snapshot_every": 2}
    in_parts = {"batch_size": 16, "score_message_edges": False} if large else {}
    chosen = {**PRESETS["fakes-as-negatives"], "decoder": "complex", **every, **in_parts, **given}
    return Config(dim=8, negatives=8, **chosen)


def told(trainer: Trainer) -> list[dict[str, Any]]:
    """The rest of a run: its events without times, and its snapshots."""
    found = []
    for event in trainer:
        found.append(to_dict(event) | {"seconds": 0})
        if isinstance(event, Snapshot):
            found.append(snapshot_of(trainer))
    return found


def weights(trainer: Trainer) -> dict[str, Any]:
    """What a run came to, without times."""
    return {name: part for name, part in trainer.state_dict().items() if name not in ("progress", "pending")}


def assert_same(first: Any, second: Any, place: str = "") -> None:
    """The same numbers, to the rounding of another order of sums; tensors of both are the CPU's own."""
    assert type(first) is type(second), place
    if isinstance(first, dict):
        assert first.keys() == second.keys(), place
        for name in first:
            assert_same(first[name], second[name], f"{place}.{name}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), place
        for i, pair in enumerate(zip(first, second, strict=True)):
            assert_same(*pair, f"{place}[{i}]")
    elif isinstance(first, torch.Tensor):
        assert type(first) is torch.Tensor, place
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5, msg=lambda words: f"{place}: {words}")
    elif isinstance(first, np.ndarray | float):
        loose = 1e-2 if isinstance(first, np.ndarray) and first.dtype == np.half else 1e-4
        np.testing.assert_allclose(first, second, rtol=loose, atol=loose, err_msg=place)
    else:
        assert first == second, place


# The device itself: what would not fail here would guard nothing.


def test_it_computes_as_the_cpu_does():
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    there = x.to(DEVICE).requires_grad_()
    (there.relu() @ there.T).sum().backward()
    here = x.clone().requires_grad_()
    (here.relu() @ here.T).sum().backward()
    assert there.grad is not None and there.grad.device == DEVICE
    assert torch.equal(there.grad.cpu(), here.grad)
    assert type(there.detach().cpu()) is torch.Tensor
    assert torch.arange(3, device=DEVICE).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "mistake",
    [
        lambda here, there: here + there,
        lambda here, there: there[torch.arange(2)],
        lambda here, there: there.index_add_(0, torch.arange(2), there),
        lambda here, there: torch.cat([here, there]),
        lambda here, there: torch.rand(3, device=DEVICE),
        lambda here, there: torch.empty_like(there).exponential_(generator=torch.Generator()),
        lambda here, there: torch.ops.mkldnn._linear_pointwise(there, there, None, "none", [], ""),
    ],
)
def test_it_refuses_what_a_gpu_refuses(mistake):
    here = torch.ones(2, 2)
    with pytest.raises(Refused):
        mistake(here, here.to(DEVICE))


def test_its_numbers_are_not_in_this_memory():
    with pytest.raises((TypeError, RuntimeError)):
        torch.ones(2, device=DEVICE).numpy()


# What the program does there.


@pytest.mark.parametrize(("sampler", "decoder", "large"), CASES)
def test_training_comes_to_the_same_numbers(graph, sampler, decoder, large):
    with sizes(large):
        here, there = (
            Trainer(graph, config(large, sampler=sampler, decoder=decoder), place)
            for place in ("cpu", DEVICE)
        )
        assert_same(told(here), told(there))
        assert_same(weights(here), weights(there))
    assert all(isinstance(part, Elsewhere) for part in there.model.parameters())


@pytest.mark.parametrize("given", MORE, ids=lambda given: "-".join(given))
@pytest.mark.parametrize("large", [False, True])
def test_settings_come_to_the_same_numbers(graph, given, large):
    with sizes(large):
        here, there = (Trainer(graph, config(large, **given), place) for place in ("cpu", DEVICE))
        assert_same(told(here), told(there))
        assert_same(weights(here), weights(there))


@pytest.mark.parametrize("decoder", ["distmult", "complex", "rotate"])
def test_ranking_comes_to_the_same_ranks(nations, decoder):
    model = Trainer(nations, config(decoder=decoder, sampler="uniform"), "cpu").model
    expected = evaluate(model, nations, "test")
    found = evaluate(model.to(DEVICE), nations, "test")
    assert torch.equal(found.ranks, expected.ranks)
    assert found.relations == expected.relations and found.mrr == expected.mrr


@pytest.mark.parametrize("sampler", ["dans", "nscaching", "kbgan", "mcns"])
@pytest.mark.parametrize("there_first", [True, False])
def test_a_run_goes_on_on_another_device(graph, sampler, there_first):
    settings = config(sampler=sampler, epochs=3)
    whole = Trainer(graph, settings, "cpu")
    events = [to_dict(event) | {"seconds": 0} for event in whole]
    begins, goes_on = (DEVICE, "cpu") if there_first else ("cpu", DEVICE)
    first = Trainer(graph, settings, begins)
    before = []
    # Into the second epoch, between two stages of an iteration.
    while not (first.epoch == 1 and first.stage == "base"):
        before += [to_dict(event) | {"seconds": 0} for event in first.step().events]
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = Trainer(graph, settings, goes_on)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert_same(events, before + [to_dict(event) | {"seconds": 0} for event in second])
    assert_same(weights(whole), weights(second))


def test_a_run_tells_where_it_was_trained(graph, tmp_path):
    settings = config(sampler="uniform", epochs=3)
    process.prepare()
    with RunWriter.create(tmp_path, "run", settings, graph.name, graph.hash, "nowhere") as writer:
        trainer = Trainer(graph, settings, DEVICE)
        assert drive(writer, trainer, stop=lambda: trainer.epoch == 1) == "stopped"
        assert (writer.run.meta.device, writer.run.meta.precision) == ("elsewhere:0", "float32")
    for _ in range(2):
        with RunWriter.reopen(tmp_path / "run") as writer:
            trainer = Trainer(graph, settings, "cpu")
            drive(writer, trainer, stop=lambda trainer=trainer: trainer.epoch >= 2)
            assert writer.run.meta.device == "elsewhere:0, then cpu"
            assert writer.run.config == settings


@pytest.mark.parametrize(
    "measured",
    [
        lambda: layer.measure(["nations"], 1, DEVICE),
        lambda: epoch.measure(["nations"], ["complex"], 1, DEVICE, alone=True),
        lambda: quality.measure("complex", 1, 4, DEVICE, alone=True),
        lambda: ranking.measure(["nations"], 1, DEVICE, alone=True),
        lambda: scaling.measure(1, scaling.Size(200, 50, 8, 8), {"edges": (200, 400)}, DEVICE),
    ],
    ids=report.ON_A_DEVICE,
)
def test_benchmarks_measure_there(measured, monkeypatch):
    monkeypatch.setattr(timing, "_TURN", 0.0)
    monkeypatch.setattr(quality, "_GRAPH", "nations")
    found = measured()
    assert found.on == "elsewhere:0" and found.rows and found.records
    assert report.render(found).partition("\n")[0].endswith(", on elsewhere:0")


def test_facts_are_where_they_are_asked(graph):
    facts = TrainFacts(graph, DEVICE)
    assert facts.distinct_queries.device == DEVICE
    assert torch.equal(on_cpu(facts.distinct_queries), TrainFacts(graph).distinct_queries)


def test_products_are_torchs_own():
    """The CPU has faster ones, from a size on that this is above."""
    x = torch.randn(512, 100, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    assert linear(x, x[:256], None).shape == (512, 256)
