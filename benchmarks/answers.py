"""How quickly the app answers a query on a large graph: a run with random weights, a real server, a real browser."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks import graphs
from benchmarks.app_page import Bench
from benchmarks.report import Section
from dans_core import KnowledgeGraph
from dans_core.model import Model
from dans_core.networks import Networks
from dans_data.errors import InputError
from dans_lab.budget.recipe import config_for
from dans_lab.runs.writer import RunWriter
from tests.browser.server import ARGUMENTS, CHROMIUM

if TYPE_CHECKING:
    from playwright.sync_api import Page

BAR = 1.0
"""Seconds that a warm query may take."""

RELATIONS = 12
"""How many relations are asked, one after the other."""

_RUN = "random"
_AT_REST = "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"


def measure(dataset: str, progress: Callable[[str], None]) -> Section:
    """Seconds from the choice of another relation to its answers; takes a minute or two and a Chromium.

    Raises InputError where the graph is not here.
    """
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        raise InputError("no Chromium found; on Debian: apt-get install chromium")
    found, missing = graphs.load([dataset])
    if missing:
        raise InputError(missing[0])
    kg = found[dataset]
    head, relations = _busiest(kg)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            with Bench(browser, Path(folder) / "warm") as bench:
                write_run(bench.runs, kg, dataset)
                (first, _), *asked = _ask(bench, kg, head, relations, progress)
        finally:
            browser.close()
    times, worked = ([pair[place] for pair in asked] for place in (0, 1))
    rows = [
        ["the first, which loads the model and fits probabilities", f"{first:.2f} s", "", "", "1"],
        [
            "another relation",
            f"{statistics.median(times):.2f} s",
            f"{max(times):.2f} s",
            f"≤ {BAR:g} s",
            str(len(times)),
        ],
        [
            "… of processor time, in the server and beside it",
            f"{statistics.median(worked):.2f} s",
            f"{max(worked):.2f} s",
            "",
            str(len(worked)),
        ],
    ]
    return Section(
        "answers",
        "Answers: from a query to the screen",
        f"The screen Predict on {graphs.title(dataset)}, {kg.num_entities:,} entities, ComplEx with random weights: a "
        "real server and a real Chromium on the same machine, from the choice of another relation in the list to the "
        "answers of the same head, with what they are worth and what speaks for the best. The bar is for the median.",
        ["query", "median", "worst", "bar", "times"],
        rows,
        [{"graph": dataset, "first": first, "seconds": times, "processor": worked, "bar": BAR}],
    )


def write_run(runs: Path, kg: KnowledgeGraph, dataset: str) -> None:
    """A finished run with the settings of a graph of this size and weights as they are before training."""
    config = config_for(len(kg.train), {"sampler": "uniform", "decoder": "complex"})
    torch.manual_seed(0)
    networks = Networks(Model(kg.num_entities, kg.num_relations, config))
    with RunWriter.create(runs, _RUN, config, kg.name, kg.hash, dataset) as writer:
        writer.best({"networks": networks.state_dict(), "sampler": {}, "epoch": 1, "mrr": 0.0})
        writer.write_status("finished", epoch=config.epochs, best_epoch=1, best_mrr=0.0)


def _busiest(kg: KnowledgeGraph) -> tuple[str, list[str]]:
    """The entity that is head most often, and the relations that train shows most, the first of them twice."""
    train = kg.array("train")
    head = kg.entities[int(np.bincount(train[:, 0]).argmax())]
    order = np.argsort(-np.bincount(train[:, 1], minlength=kg.num_relations), kind="stable")
    return head, [kg.relations[number] for number in order[: RELATIONS + 1].tolist()]


def _ask(
    bench: Bench, kg: KnowledgeGraph, head: str, relations: list[str], progress: Callable[[str], None]
) -> list[tuple[float, float]]:
    """Seconds of the first query, from the address, and of the others, each after a rest; and of processor time."""
    page: Page = bench.page
    times: list[tuple[float, float]] = []
    for relation in relations:
        before = bench.processor_time()
        words = f"({head}, {relation}, ?)"
        done = f"clock.says({words!r}) && clock.says('What speaks for') && {_AT_REST}"
        if not times:
            bench.open()
            page.evaluate("condition => benchmark.arm(condition)", done)
            page.goto(f"{bench.server.url}/predict?run={_RUN}&head={head}&relation={relation}")
            page.wait_for_function(
                f"() => {{ const clock = benchmark; return {done} }}", polling=20, timeout=900_000
            )
            seconds = page.evaluate("() => performance.now() / 1000")
        else:
            box = page.get_by_role("combobox", name="Relation")
            box.click()
            box.fill(relation)
            page.get_by_role("option", name=relation, exact=True).wait_for()
            seconds, _ = bench.time(partial(box.press, "Enter"), done)
        times.append((seconds, bench.processor_time() - before))
        progress(f"{relation}: {seconds:.2f} s, {times[-1][1]:.2f} s of processor time")
        page.wait_for_timeout(500)
    return times
