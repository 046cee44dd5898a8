"""One R-GCN layer, ours beside PyTorch Geometric's RGCNConv and FastRGCNConv with the same weights."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.nn import FastRGCNConv, RGCNConv

from benchmarks import graphs
from benchmarks.report import IN_TURNS, Section, not_run, sentence_rows
from benchmarks.timing import alternate, one_thread, show_ratio, show_seconds, work
from dans_core import KnowledgeGraph
from dans_core.device import name_of
from dans_core.kernels.edges import MessageGraph
from dans_lab.pyg import FastRGCN

_DIM, _BASES = 100, 4
_MOST_ON_LARGE = 3

FORWARD = "forward"
BOTH = "forward + backward"
HALF = "the same on half the triplets, planned anew"
_COLUMNS = [
    "RGCNConv ÷ ours", "bar", "FastRGCNConv ÷ ours", "graph", "pass", "ours, plan at hand", "ours, plain edges",
    "RGCNConv", "FastRGCNConv",
]  # fmt: skip
_BARS = {("umls", BOTH): "≥ 6x (aim 10x)", ("wn18rr", BOTH): "≥ 3x", ("nell-995", FORWARD): "≥ 20x"}
_NOTE = (
    "One layer of {dim} → {dim} numbers with {bases} bases over both directions of all train edges, the same "
    "weights in all; values and gradients are checked to be equal in the same run. *Plan at hand*: the edges are "
    "sorted once, outside; *plain edges*: the drop-in call `forward(x, edge_index, edge_type)`, which sorts them "
    "each time. The ratios use the plan at hand, as training does. *Half*: one random half of the triplets, drawn "
    "outside; ours plans it within its time, as training does for the half of each step, and the others mask their "
    "edges within theirs. A peer that would hold more than {limit:.0f} GB is not run. Without pyg-lib, which has no "
    "wheel for this torch. Medians of {repeats} rounds, {large} on large graphs: {turns}."
)

Results = tuple[Tensor, ...]


def measure(datasets: Sequence[str], repeats: int, asked: str | torch.device = "cpu") -> Section:
    """Seconds of the passes on each graph, on this device."""
    device = one_thread(asked)
    found, missing = graphs.load(datasets)
    rounds = graphs.rounds(found, repeats, _MOST_ON_LARGE)
    effort = {
        (name, which): (rounds[name] + 1) * (1 + _guess(kg) * (1 if which == FORWARD else 2.5))
        for name, kg in found.items()
        for which in (FORWARD, BOTH, HALF)
    }
    records = []
    with work(sum(effort.values())) as progress:
        for (name, which), amount in effort.items():
            progress.now(f"{graphs.title(name)} {which}")
            part = amount / (rounds[name] + 1)
            record = {"graph": name, "pass": which}
            record |= _one(found[name], which, rounds[name], device, lambda part=part: progress.done(part))
            records.append(record)
    return Section(
        name="layer",
        title="One R-GCN layer",
        note=_NOTE.format(
            limit=graphs.MOST_MEMORY / 1e9,
            dim=_DIM,
            bases=_BASES,
            repeats=repeats,
            large=min(repeats, _MOST_ON_LARGE),
            turns=IN_TURNS,
        ),
        columns=_COLUMNS,
        rows=[_row(record) for record in records] + sentence_rows(missing, _COLUMNS),
        records=records,
        on=name_of(device),
    )


def _guess(kg: KnowledgeGraph) -> float:
    """Rough seconds of a forward pass of the slowest peer that runs, for the progress bar."""
    return 2 * kg.num_relations * (5e-7 * kg.num_entities + 3e-4) + 4e-6 * len(kg.train)


def _one(
    kg: KnowledgeGraph, which: str, repeats: int, device: torch.device, after_round: Callable[[], None]
) -> dict[str, Any]:
    torch.manual_seed(0)
    sizes = (_DIM, _DIM, 2 * kg.num_relations)
    ours = FastRGCN(*sizes, num_bases=_BASES).to(device)
    peers = {
        "RGCNConv": RGCNConv(*sizes, num_bases=_BASES).to(device),
        "FastRGCNConv": FastRGCNConv(*sizes, num_bases=_BASES).to(device),
    }
    for peer in peers.values():
        peer.load_state_dict(ours.state_dict())
    x = torch.randn(kg.num_entities, _DIM).to(device).requires_grad_(which != FORWARD)
    weight = torch.randn(kg.num_entities, _DIM).to(device)
    triplets = kg.train.to(device)
    graph = MessageGraph.of_triplets(triplets, kg.num_entities, kg.num_relations)
    keep = (torch.rand(len(triplets)) < (0.5 if which == HALF else 1.0)).to(device)
    plan = graph.plan()
    h, r, t = triplets.T
    both = torch.cat([keep, keep])
    index, kind = torch.stack([torch.cat([h, t]), torch.cat([t, h])]), torch.cat([r, r + kg.num_relations])

    def edges() -> tuple[Tensor, Tensor]:
        return (index[:, both], kind[both]) if which == HALF else (index, kind)

    def call(layer: RGCNConv, forward: Callable[[], Tensor]) -> Callable[[], Results]:
        def run() -> Results:
            if which == FORWARD:
                with torch.no_grad():
                    return (forward(),)
            out = forward()
            return out, *torch.autograd.grad(out, [x, *layer.parameters()], weight)

        return run

    cases = {
        "ours": call(
            ours, lambda: ours.propagate_plan(x, graph.plan_of_triplets(keep) if which == HALF else plan)
        ),
        "ours_plain": call(
            ours, lambda: ours.propagate_plan(x, MessageGraph(*edges(), len(x), sizes[2]).plan())
        ),
    }
    needs = _bytes_held(kg, which, int(both.sum()))
    for name, peer in peers.items():
        if needs[name] <= graphs.MOST_MEMORY:
            cases[name] = call(peer, lambda peer=peer: peer(x, *edges()))
    return {
        "seconds": alternate(cases, repeats, after_round, _must_agree),
        "not_run_bytes": {name: size for name, size in needs.items() if name not in cases},
    }


def _bytes_held(kg: KnowledgeGraph, which: str, edges: int) -> dict[str, int]:
    """What each peer holds at once at the least.

    FastRGCNConv makes a matrix for each edge, and its gradient. RGCNConv makes the neighbours' mean (N, dim) of
    each edge type, one after the other, and keeps them all for the backward pass.
    """
    means = kg.num_entities * _DIM * 4
    matrices = edges * _DIM * _DIM * 4
    if which == FORWARD:
        return {"RGCNConv": means, "FastRGCNConv": matrices}
    return {"RGCNConv": 2 * kg.num_relations * means, "FastRGCNConv": 2 * matrices}


def _must_agree(results: dict[str, Results]) -> None:
    """Raises AssertionError if values or gradients differ by more than rounding."""
    ours = results["ours"]
    for name, theirs in results.items():
        for value, expected in zip(ours, theirs, strict=True):
            # Sums of thousands of terms in another order: rounding goes with the largest value.
            scale = float(expected.detach().abs().max())
            torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-5 * max(scale, 1.0), msg=name)


def _row(record: dict[str, Any]) -> list[str]:
    medians = {name: statistics.median(values) for name, values in record["seconds"].items()}
    shown = {name: show_seconds(seconds) for name, seconds in medians.items()}
    shown |= {name: not_run(size) for name, size in record["not_run_bytes"].items()}
    ratio = {name: show_ratio(seconds, medians["ours"]) for name, seconds in medians.items()}
    return [
        ratio.get("RGCNConv", "–"),
        _BARS.get((record["graph"], record["pass"]), ""),
        ratio.get("FastRGCNConv", "–"),
        graphs.title(record["graph"]),
        record["pass"],
        shown["ours"],
        shown["ours_plain"],
        shown["RGCNConv"],
        shown["FastRGCNConv"],
    ]
