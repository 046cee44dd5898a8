"""One training epoch of ours, DANS and uniform, beside one of PyKEEN's R-GCN with the same decoder."""

from __future__ import annotations

import math
import multiprocessing
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from benchmarks import graphs
from benchmarks.report import DECODERS, IN_TURNS, SAMPLERS, Section, not_run, sentence_rows
from benchmarks.timing import Work, alternate, one_thread, peak_memory, show_ratio, show_seconds, timed, work
from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.device import name_of

T = TypeVar("T")
_NEVER = 100_000
# Of PyKEEN, its own where none is given, in triplets.
PYKEEN_BATCH = 256
# Epochs on a large graph, where one takes longer than the noise of the machine lasts.
_MOST_ON_LARGE = 2
# A large graph takes PyKEEN minutes an epoch, since every batch encodes the whole graph: so many are timed.
_PEER_BATCHES = 3

_COLUMNS = [
    "PyKEEN ÷ ours", "PyKEEN in one batch ÷ ours", "bar of the first ratio", "graph", "decoder", "negatives",
    "our epoch", "positives a second", "peak memory", "PyKEEN's epoch", "PyKEEN's in one batch",
]  # fmt: skip
_BARS = {
    ("umls", "distmult", "dans"): "≥ 15x (aim 25x)",
    ("umls", "complex", "dans"): "≥ 15x (aim 25x)",
    ("umls", "rotate", "dans"): "≥ 10x",
    ("wn18rr", "complex", "dans"): "our epoch: about 15 s, < 3 GB",
    ("nell-995", "complex", "dans"): "our epoch: about 30 s, < 4 GB",
}
_NOTE = (
    "An epoch of ours after the warm-up, without ranking, diagnostics and snapshots, beside an epoch of PyKEEN's "
    "`RGCN` of the same sizes (`SLCWATrainingLoop`, uniform negatives as many, no GAN). PyKEEN takes its default "
    "batch of {batch} triplets in the first ratio, and all of them in one batch in the second. Every batch encodes "
    "the graph and updates the model once, so the first ratio sets unlike numbers of updates side by side; an epoch "
    "of PyKEEN's default batches has, and one of ours: {updates}. Ours scores every triplet in both directions with "
    "N_s negatives each, PyKEEN once, so ours has twice the positives and the scores. Medians of {repeats} rounds on "
    "a small graph: {turns}. On a large graph of {large} epochs in a fresh process for each, one after the other, "
    "whose peak memory counts everything: imports, loading, training; of PyKEEN's epoch there only {some} batches are "
    "run, unless it would hold more than {limit:.0f} GB, and the time of all follows (≈)."
)


@dataclass(frozen=True)
class Place:
    """On which device is measured, and whether ours alone, without the peer."""

    device: torch.device
    alone: bool


def epochs_of(kg: KnowledgeGraph, device: str | torch.device = "cpu", **settings: Any) -> Callable[[], None]:
    """A call that trains ours for one more epoch: no warm-up, and no ranking, diagnostics or snapshot in it."""
    config = Config(
        epochs=_NEVER,
        warmup_epochs=0,
        eval_every=_NEVER,
        diagnose_every=_NEVER,
        snapshot_every=_NEVER,
        **settings,
    )
    trainer = Trainer(kg, config, device)

    def epoch() -> None:
        wanted = trainer.epoch + 1
        while trainer.epoch < wanted:
            trainer.step()

    return epoch


def measure(
    datasets: Sequence[str],
    decoders: Sequence[str],
    repeats: int,
    asked: str | torch.device = "cpu",
    alone: bool = False,
) -> Section:
    """Seconds and memory of epochs; no decoders mean all on a small graph and ComplEx on a large one.

    With `alone`, of ours only.
    """
    device = one_thread(asked)
    found, missing = graphs.load(datasets)
    jobs = [
        (name, decoder)
        for name, kg in found.items()
        for decoder in decoders or (DECODERS if graphs.small(kg) else ("complex",))
    ]
    rounds = graphs.rounds(found, repeats, _MOST_ON_LARGE)
    effort = {
        name: 3.0 * (rounds[name] + 1) if graphs.small(kg) else len(kg.train) / 5000 * 2 * rounds[name]
        for name, kg in found.items()
    }
    place = Place(device, alone)
    records: list[dict[str, Any]] = []
    with work(sum(effort[name] for name, _ in jobs)) as progress:
        for name, decoder in jobs:
            progress.now(f"{graphs.title(name)} {DECODERS[decoder]}")
            one = _beside_pykeen if graphs.small(found[name]) else _alone
            records += one(name, found[name], decoder, rounds[name], place, progress, effort[name])
    return Section(
        name="epoch",
        title="One training epoch",
        note=_NOTE.format(
            batch=PYKEEN_BATCH,
            updates=", ".join(_updates(name, kg, PYKEEN_BATCH) for name, kg in found.items()),
            repeats=repeats,
            turns=IN_TURNS,
            large=min(repeats, _MOST_ON_LARGE),
            some=_PEER_BATCHES,
            limit=graphs.MOST_MEMORY / 1e9,
        ),
        columns=_COLUMNS,
        rows=[_row(record) for record in records] + sentence_rows(missing, _COLUMNS),
        records=records,
        on=name_of(device),
    )


def _updates(name: str, kg: KnowledgeGraph, pykeen_batch: int) -> str:
    """The batches of an epoch of PyKEEN's and of ours."""
    theirs, ours = (math.ceil(len(kg.train) / size) for size in (pykeen_batch, Config().batch_size))
    return f"{graphs.title(name)} {theirs} and {ours}"


def _beside_pykeen(
    name: str, kg: KnowledgeGraph, decoder: str, repeats: int, place: Place, progress: Work, effort: float
) -> list[dict[str, Any]]:
    config = Config(decoder=decoder)
    cases = {sampler: epochs_of(kg, place.device, decoder=decoder, sampler=sampler) for sampler in SAMPLERS}
    if not place.alone:
        from benchmarks.peers import PykeenRun

        cases["pykeen"] = PykeenRun(kg, config, PYKEEN_BATCH, place.device).epoch
        cases["pykeen_one_batch"] = PykeenRun(kg, config, len(kg.train), place.device).epoch
    seconds = alternate(cases, repeats, lambda: progress.done(effort / (repeats + 1)))
    peers = {peer: values for peer, values in seconds.items() if peer not in SAMPLERS}
    return [
        {"graph": name, "decoder": decoder, "sampler": sampler, "positives": 2 * len(kg.train)}
        | {"seconds": seconds[sampler], "peers": peers}
        for sampler in SAMPLERS
    ]


def _alone(
    name: str, kg: KnowledgeGraph, decoder: str, repeats: int, place: Place, progress: Work, effort: float
) -> list[dict[str, Any]]:
    """Each sampler in a fresh process, one after the other, and PyKEEN in another."""

    def fresh(call: Callable[..., T], *arguments: object) -> T:
        with multiprocessing.get_context("spawn").Pool(1) as process:
            result = process.apply(call, arguments)
        progress.done(effort / (len(SAMPLERS) + 1))
        return result

    records = [fresh(in_fresh_process, name, decoder, sampler, repeats, place.device) for sampler in SAMPLERS]
    if place.alone:
        progress.done(effort / (len(SAMPLERS) + 1))
        return [record | {"peers": {}} for record in records]
    from benchmarks.peers import pykeen_bytes_held

    needs = pykeen_bytes_held(kg, Config(decoder=decoder))
    if needs > graphs.MOST_MEMORY:
        progress.done(effort / (len(SAMPLERS) + 1))
        return [record | {"peers": {}, "pykeen_needs_bytes": needs} for record in records]
    seconds = fresh(pykeen_batches_in_fresh_process, name, decoder, place.device)
    return [record | {"peers": {"pykeen": [seconds]}, "pykeen_batches": _PEER_BATCHES} for record in records]


def pykeen_batches_in_fresh_process(name: str, decoder: str, device: torch.device) -> float:
    """Seconds of a whole epoch of PyKEEN at the pace of `_PEER_BATCHES` batches, after as many to warm up."""
    from benchmarks.peers import PykeenRun

    one_thread(device)
    kg = KnowledgeGraph.load(name)
    batches = PykeenRun(kg, Config(decoder=decoder), PYKEEN_BATCH, device, _PEER_BATCHES)
    batches.epoch()
    return timed(batches.epoch) / _PEER_BATCHES * math.ceil(len(kg.train) / PYKEEN_BATCH)


def in_fresh_process(
    name: str, decoder: str, sampler: str, repeats: int, device: torch.device
) -> dict[str, Any]:
    """Load a graph, train some epochs, and say their seconds and the most memory this process ever held."""
    one_thread(device)
    kg = KnowledgeGraph.load(name)
    epoch = epochs_of(kg, device, decoder=decoder, sampler=sampler)
    seconds = [timed(epoch) for _ in range(repeats)]
    of_gpu = {"gpu_peak_bytes": torch.cuda.max_memory_allocated(device)} if device.type == "cuda" else {}
    return of_gpu | {
        "graph": name,
        "decoder": decoder,
        "sampler": sampler,
        "positives": 2 * len(kg.train),
        "seconds": seconds,
        "peak_bytes": peak_memory(),
    }


def _row(record: dict[str, Any]) -> list[str]:
    key = (record["graph"], record["decoder"], record["sampler"])
    ours = statistics.median(record["seconds"])
    peers = {peer: statistics.median(values) for peer, values in record["peers"].items()}
    ratio = {peer: show_ratio(theirs, ours) for peer, theirs in peers.items()}
    shown = {peer: show_seconds(theirs) for peer, theirs in peers.items()}
    if "pykeen_batches" in record:
        ratio["pykeen"], shown["pykeen"] = f"≈ {ratio['pykeen']}", f"≈ {shown['pykeen']}"
    if "pykeen_needs_bytes" in record:
        shown["pykeen"] = not_run(record["pykeen_needs_bytes"])
    return [
        ratio.get("pykeen", "–"),
        ratio.get("pykeen_one_batch", "–"),
        _BARS.get(key, ""),
        graphs.title(record["graph"]),
        DECODERS[record["decoder"]],
        SAMPLERS[record["sampler"]],
        show_seconds(ours),
        f"{record['positives'] / ours:,.0f}",
        " + ".join(
            f"{record[part] / 1e9:.2f} GB{which}"
            for part, which in (("peak_bytes", ""), ("gpu_peak_bytes", " on the GPU"))
            if part in record
        )
        or "–",
        shown.get("pykeen", "–"),
        shown.get("pykeen_one_batch", "–"),
    ]
