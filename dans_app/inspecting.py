"""Inspections of the networks of a run, made by a process of its own, `python -m dans_app.inspecting`.

It holds torch, whose import alone would hold up every click on the server for seconds.
"""

from __future__ import annotations

import dataclasses
import json
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import streamlit as st

from dans_app import aside
from dans_core.errors import InputError
from dans_core.kg import KnowledgeGraph
from dans_core.runs import Run

if TYPE_CHECKING:
    from dans_core.config import Config
    from dans_core.inspection import Inspection
    from dans_core.networks import Networks

Which = Literal["best", "last"]

_PROCESS = aside.Aside("dans_app.inspecting")


def warm_up() -> None:
    """Have the process import torch, so that the first inspection need not wait for it. Takes seconds."""
    _PROCESS.ask()


def checkpoints(run: Run) -> list[Which]:
    """Which weights the run has so far, best first."""
    names: tuple[Which, ...] = ("best", "last")
    return [name for name in names if (run.path / f"{name}.pt").is_file()]


def inspect(
    run: Run, kg: KnowledgeGraph, which: Which, query: tuple[int, int, int], draws: int, seed: int
) -> tuple[Inspection, int]:
    """The negatives for the tail of a query (reciprocals too), and the epoch of the weights.

    Raises InputError where there is no checkpoint, or one that does not fit the data set.
    """
    stat = (run.path / f"{which}.pt").stat() if which in checkpoints(run) else None
    stamp = (stat.st_mtime_ns, stat.st_size) if stat else (0, 0)
    return _inspect(str(run.path.resolve()), which, stamp, kg.hash, query, draws, seed)


@st.cache_resource(max_entries=256, show_spinner="Loading the networks of this run …")
def _inspect(
    path: str,
    which: Which,
    stamp: tuple[int, int],
    graph_hash: str,
    query: tuple[int, int, int],
    draws: int,
    seed: int,
) -> tuple[Inspection, int]:
    try:
        answer = _PROCESS.ask(
            path=path, which=which, stamp=stamp, hash=graph_hash, query=query, draws=draws, seed=seed
        )
    except RuntimeError as error:
        raise InputError(f"its networks cannot be used ({error})") from None
    # With the attributes of an Inspection, whose own module imports torch.
    found = json.loads(str(answer["inspection"]), object_hook=lambda fields: SimpleNamespace(**fields))
    return cast("Inspection", found), int(answer["epoch"])


# --- in the process --------------------------------------------------------------------------------------------


def _answer(request: aside.Arrays) -> aside.Arrays:
    from dans_core.inspection import inspect_triplet

    if not request:
        return {}
    stamp = tuple(request["stamp"].tolist())
    networks, epoch, kg, config = _networks(
        str(request["path"]), str(request["which"]), stamp, str(request["hash"])
    )
    seen = inspect_triplet(
        networks,
        kg,
        config,
        *request["query"].tolist(),
        draws=int(request["draws"]),
        seed=int(request["seed"]),
    )
    return {"inspection": np.array(json.dumps(dataclasses.asdict(seen))), "epoch": np.array(epoch)}


@lru_cache(maxsize=3)
def _networks(
    path: str, which: Which, stamp: tuple[int, int], graph_hash: str
) -> tuple[Networks, int, KnowledgeGraph, Config]:
    """Networks, epoch, graph and settings of a run; `stamp` (time, size) and `graph_hash` renew a kept answer."""
    from dans_core.networks import load_weights

    run = Run(Path(path))
    kg = run.load_kg()
    state = run.load_checkpoint(which)
    epoch = state["progress"]["epoch"] if which == "last" else state["epoch"]
    return load_weights(state, kg, run.config), int(epoch), kg, run.config


if __name__ == "__main__":
    from dans_core import process

    process.prepare()
    aside.serve(_answer)
