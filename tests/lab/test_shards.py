"""The entity table in shards: what a process holds, the numbers of one process, and from two to one to two."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dans_core import Config
from dans_core.device import CPU
from dans_core.kernels.edges import MessageGraph
from dans_core.rgcn import Encoder
from dans_data.errors import InputError
from dans_lab.cli import main
from dans_lab.ranks import joined
from dans_lab.ranks.partition import Part, cuts_of, order_of
from dans_lab.ranks.shards import ShardTrainer
from dans_lab.ranks.table import _first_values, _Unpickler
from dans_lab.runs.weights import load_weights
from tests.lab.on_shards import KG, go_on
from tests.waiting import PATIENCE, wait_for

ROOT = Path(__file__).resolve().parents[2]


def parts(count: int, hops: int = 2) -> list[Part]:
    order = order_of(KG)
    return [Part.of(KG, order, rank, count, hops) for rank in range(count)]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_rows_and_triplets_are_shared_out(count):
    found = parts(count)
    rows = [part.entities[part.own] for part in found]
    assert sorted(np.concatenate(rows)) == list(range(KG.num_entities))
    assert max(map(len, rows)) == -(-KG.num_entities // count)
    assert (np.sum([part.triplets for part in found], axis=0) == 1).all()
    if count == 1:
        assert found[0].vertices == KG.num_entities
    else:
        assert any(len(part.entities) < KG.num_entities for part in found)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_vertices_of_a_part_are_encoded_as_on_one_process(layers):
    torch.manual_seed(0)
    n, types = KG.num_entities, 2 * KG.num_relations
    encoder, table = Encoder(6, types, layers, 2, 0.0).double(), torch.randn(n, 6, dtype=torch.double)
    keep = torch.rand(len(KG.train)) < 0.6
    whole = encoder(table, MessageGraph.of_triplets(KG.train, n, KG.num_relations).plan_of_triplets(keep))
    for part in parts(3, layers):
        edges, kinds = torch.from_numpy(part.edges), torch.from_numpy(part.types)
        graph = MessageGraph(edges, kinds, len(part.entities), types)
        here = encoder(
            table[torch.from_numpy(part.entities)], graph.plan(keep[torch.from_numpy(part.carried_by)])
        )
        exact = part.entities[: part.vertices]
        torch.testing.assert_close(here[: part.vertices], whole[torch.from_numpy(exact)])
        assert set(part.entities[part.own]) <= set(exact)
        assert set(KG.array("train")[part.triplets][:, [0, 2]].flatten()) <= set(exact)


def test_a_table_begins_with_the_same_values_however_it_is_cut():
    whole = _first_values(3000, 4, 0, 3000, seed=1)
    cuts = [0, 1000, 1030, 2999, 3000]
    cut = [_first_values(3000, 4, *ends, seed=1) for ends in pairwise(cuts)]
    assert torch.equal(torch.cat(cut), whole)
    assert abs(float(whole.std()) / (2 / 3004) ** 0.5 - 1) < 0.05


def test_what_shards_cannot_do_is_said(tmp_path, monkeypatch, capsys):
    class Two:
        rank, count = 0, 2

    with pytest.raises(InputError, match=r"nscaching: .* chooses among all entities"):
        ShardTrainer(KG, Config(sampler="nscaching"), CPU, Two(), tmp_path)
    with pytest.raises(InputError, match="say --device cpu"):
        ShardTrainer(KG, Config(), torch.device("meta"), Two(), tmp_path)
    with pytest.raises(InputError, match="3 entities leave one of 5 processes no rows"):
        cuts_of(3, 5)
    with pytest.raises(InputError, match=r"best\.pt has all of it"):
        load_weights({"shards": {}}, KG, Config())
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    assert main(["train", "--shard-entities"]) != 0
    assert "torchrun --nproc-per-node 2" in capsys.readouterr().err


def test_the_index_of_a_table_names_nothing_that_does_harm(tmp_path):
    path = tmp_path / "index"
    path.write_bytes(pickle.dumps({"run": os.system}))
    with path.open("rb") as file, pytest.raises(pickle.UnpicklingError, match="system"):
        _Unpickler(file).load()


def began(out: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", *words]
    threads = {"DANS_RUNS_DIR": str(out), "DANS_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **threads}, stderr=subprocess.PIPE, text=True
    )


def ended(torchrun: subprocess.Popen[str]) -> None:
    _, complained = torchrun.communicate(timeout=PATIENCE)
    assert torchrun.returncode == 0, complained


def alone(out: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What this process comes to as the only one of a run in shards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    one = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "alone"}
    for name, value in {**one, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}.items():
        monkeypatch.setenv(name, value)
    with joined(shards=True) as others:
        assert others is not None
        return go_on(others, out)


@pytest.mark.long
def test_two_processes_give_the_numbers_of_one_and_go_on_as_one_and_as_two(tmp_path, monkeypatch):
    torchrun = began(tmp_path, "tests.lab.on_shards", str(tmp_path))
    try:
        files = [tmp_path / f"{rank}.json" for rank in (0, 1)]
        wait_for(lambda: torchrun.poll() is not None or all(file.exists() for file in files), "training")
        assert torchrun.poll() is None, torchrun.communicate()[1]
        found = [json.loads(file.read_text()) for file in files]
        one = alone(tmp_path, monkeypatch)
        (tmp_path / "alone.json").touch()
        ended(torchrun)
    finally:
        torchrun.terminate()
    for case in ("whole", "uneven"):
        assert found[0][case]["stages"] >= 4
        assert found[0][case]["losses"] < 1e-12 and found[0][case]["weights"] < 1e-12
    ranks = found[0]["ranks"]
    assert len(ranks) == 2 * len(KG.test) and len(set(ranks)) > 3
    assert one == {"rows": KG.num_entities, "ranks": ranks}
    for rank, begun in enumerate(found):
        assert begun["same"] and begun["goes_on"]
        again = json.loads((tmp_path / f"{rank}-again.json").read_text())
        assert again == {"rows": KG.num_entities // 2, "ranks": ranks} == {n: begun[n] for n in again}


@pytest.mark.long
def test_a_run_in_shards_is_a_run_like_any_other(tmp_path, capsys):
    settings = ["--epochs", "4", "--set", "dim=8", "--set", "eval_every=1"]
    run = tmp_path / "run"
    words = ["train", "--dataset", "nations", *settings, "--shard-entities", "--out", str(run)]
    ended(began(tmp_path, "dans_core", *words))
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "finished" and status["test_mrr"] > 0
    assert json.loads((run / "config.json").read_text())["processes"] == "2 shards"
    assert main(["evaluate", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mrr"] == pytest.approx(status["test_mrr"], abs=1e-6)
    assert main(["train", "--resume", str(run), "--epochs", "6"]) != 0
    assert "in shards; go on by torchrun with --shard-entities" in capsys.readouterr().err
