"""What several test files share: a small graph and the bundled ones."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from threadpoolctl import threadpool_limits

from dans_core import KnowledgeGraph
from tests import examples  # noqa: F401

# What is compared to the last bit is the CPU's, also where there is a GPU; tests of that one name it.
os.environ["DANS_DEVICE"] = "cpu"

settings.load_profile("everyday")

# Tests call parts of screens without a server. What Streamlit says to that, hundreds of times, hides what failed.
for said in ("scriptrunner_utils.script_run_context", "caching.cache_data_api"):
    logging.getLogger(f"streamlit.runtime.{said}").addFilter(lambda record: record.levelno > logging.WARNING)

LONG = ("browser", "study", "kill", "ray", "long")
"""Marks of tests that take seconds to minutes."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A process for each core, but for a single file, and at most four: each takes most of a GB of memory."""
    alone = len(config.args) == 1 and Path(config.args[0].partition("::")[0]).is_file()
    return 0 if alone else min(4, os.cpu_count() or 1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each process begins with its share of what takes long, so that at the end none waits for another's."""
    processes = getattr(config, "workerinput", {}).get("workercount", 1)
    long = [item for item in items if any(item.get_closest_marker(mark) for mark in LONG)]
    short = [item for item in items if not any(item.get_closest_marker(mark) for mark in LONG)]
    share = -(-len(short) // processes)
    items[:] = [
        item
        for process in range(processes)
        for item in (*long[process::processes], *short[process * share :][:share])
    ]


@pytest.fixture(autouse=True, scope="session")
def a_cache_of_its_own(tmp_path_factory: pytest.TempPathFactory):
    """What the person has downloaded or added is not seen by the tests, nor changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DANS_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("DANS_OWN_DIR", str(tmp_path_factory.mktemp("own")))
        yield


@pytest.fixture(autouse=True, scope="session")
def one_thread_at_first():
    torch.set_num_threads(1)
    # As in the server, so that what is timed does not wait for a second core.
    threadpool_limits(1)


@pytest.fixture(autouse=True)
def one_thread_ever_after():
    """One thread, as in a run: sums in one order give one set of numbers. A fit by UMAP undoes that for all."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def umls() -> KnowledgeGraph:
    return KnowledgeGraph.load("umls")


@pytest.fixture(scope="session")
def nations() -> KnowledgeGraph:
    return KnowledgeGraph.load("nations")


def random_graph(seed: int, num_entities: int = 12, num_relations: int = 3, n: int = 40) -> KnowledgeGraph:
    """A graph of about n distinct random triplets: 70 % train, the rest halved."""
    rng = np.random.default_rng(seed)
    triplets = np.unique(
        np.stack([rng.integers(0, m, n) for m in (num_entities, num_relations, num_entities)], axis=1), axis=0
    )
    rng.shuffle(triplets)
    cuts = [int(0.7 * len(triplets)), int(0.85 * len(triplets))]
    return KnowledgeGraph(
        *np.split(triplets, cuts),
        entities=[f"e{i:03d}" for i in range(num_entities)],
        relations=[f"r{i}" for i in range(num_relations)],
        name="random",
    )


@pytest.fixture(scope="module")
def provider():
    """A provider of OpenID Connect, at which the people of a module's tests sign in."""
    from tests.provider import Provider

    with Provider() as started:
        yield started
