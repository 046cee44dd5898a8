"""Small runs for tests of the app (one trained in seconds, one of chosen numbers), and a page to show them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.events import Snapshot
from dans_lab.presets import PRESETS
from dans_lab.runs.run import Run
from dans_lab.runs.writer import RunWriter
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 2


def trained(root: Path, run_id: str, sampler: str = "dans", dataset: str = "nations", **more: object) -> Run:
    """A finished run of six epochs, two of them warm-up, with snapshots at 0, 3 and 6; `more` are settings.

    Its fakes are negatives themselves unless `more` says otherwise.
    """
    from dans_lab.runs.drive import drive

    small = {"epochs": 6, "dim": 16, "negatives": 8, "eval_every": 3, "snapshot_every": 3}
    values = {**PRESETS["fakes-as-negatives"], "sampler": sampler, "warmup_epochs": WARM_UP, **small, **more}
    if sampler == "one-vs-all" and "loss" not in more:
        del values["loss"]
    config = Config(**values)
    kg = KnowledgeGraph.load(dataset)
    with RunWriter.create(root, run_id, config, kg.name, kg.hash, dataset) as writer:
        assert drive(writer, Trainer(kg, config), stop=lambda: False) == "finished"
        return writer.run


def arrays(kg: KnowledgeGraph, epoch: int, dim: int = 8, gan: bool = True) -> dict[str, np.ndarray]:
    """What a snapshot file holds, from random numbers; G_R's fakes of one relation are all the same point."""
    random = np.random.default_rng(epoch)
    queries = np.unique(kg.queries("train")[:, :2], axis=0)
    found = {
        "epoch": np.array(epoch),
        "entities": random.normal(size=(kg.num_entities, dim)).astype(np.float16),
        "relations": random.normal(size=(2 * kg.num_relations, dim)).astype(np.float16),
        "queries": queries.astype(np.int32),
        "answers": random.integers(kg.num_entities, size=len(queries), dtype=np.int32),
        "random": random.integers(kg.num_entities, size=len(queries), dtype=np.int32),
        "score_true": random.normal(2, 1, size=len(queries)).astype(np.float16),
        "score_random": random.normal(-2, 1, size=len(queries)).astype(np.float16),
    }
    if not gan:
        return found
    per_relation = random.normal(size=(2 * kg.num_relations, dim))
    return found | {
        "heads_e": np.arange(kg.num_entities, dtype=np.int32),
        "fakes_e": random.normal(size=(kg.num_entities, dim)).astype(np.float16),
        "score_e": random.normal(size=len(queries)).astype(np.float16),
        "score_r": random.normal(size=len(queries)).astype(np.float16),
        "aux_fakes_e": np.full(kg.num_entities, 0.1, np.float16),
        "aux_fakes_r": np.full(len(queries), 0.9, np.float16),
        "fakes_r": per_relation[queries[:, 1]].astype(np.float16),
        "d_entities": np.full(kg.num_entities, 0.5, np.float16),
        "aux_entities": np.full(kg.num_entities, 0.5, np.float16),
        "d_fakes_e": np.full(kg.num_entities, 0.25, np.float16),
        "d_fakes_r": np.full(len(queries), 0.75, np.float16),
        "spread_e": np.float32(0.5),
        "spread_r": np.float32(0.0),
    }


def drawn(
    root: Path, kg: KnowledgeGraph, source: str, run_id: str, epochs: Sequence[int] = (0, 5), gan: bool = True
) -> Run:
    """A run with snapshots of random numbers and no weights; `source` is what `KnowledgeGraph.load` takes."""
    config = Config(sampler="dans" if gan else "uniform", epochs=10, warmup_epochs=WARM_UP)
    with RunWriter.create(root, run_id, config, kg.name, kg.hash, source) as writer:
        for epoch in epochs:
            add_snapshot(writer, kg, epoch, gan)
        writer.write_status("stopped", epoch=max(epochs, default=0))
        return writer.run


def add_snapshot(writer: RunWriter, kg: KnowledgeGraph, epoch: int, gan: bool = True) -> None:
    """One more snapshot of random numbers."""
    name = f"{epoch:06d}.npz"
    writer.snapshot(name, arrays(kg, epoch, gan=gan))
    writer.append(Snapshot(epoch, name))


def screen(page: str, **query: str) -> AppTest:
    """A page with this address, as if app.py had run; fails if it raised."""
    app = AppTest.from_file(str(ROOT / "pages" / page), default_timeout=PATIENCE)
    app.session_state["dans_ready"] = True
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def app(**query: str) -> AppTest:
    """The whole app without a browser, opened at this address."""
    opened = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE)
    for name, value in query.items():
        opened.query_params[name] = value
    opened.run()
    assert not opened.exception
    return opened


def only(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on there are these runs, no recorded one, and nothing that an earlier test has read."""
    monkeypatch.setenv("DANS_RUNS_DIR", str(runs))
    monkeypatch.setattr("dans_lab.runs.run.RECORDED", tmp_path / "recorded")
    st.cache_resource.clear()
    st.cache_data.clear()


def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """From now on there is an empty runs folder, which is returned, and no study that comes with the program."""
    runs = tmp_path / "runs"
    runs.mkdir()
    only(runs, tmp_path, monkeypatch)
    monkeypatch.setattr("dans_lab.study.folder.RESULTS", tmp_path / "results")
    return runs
