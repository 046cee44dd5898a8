"""One training epoch of ours, DANS and uniform, beside one of PyKEEN's R-GCN with the same decoder."""

from __future__ import annotations

import math
import multiprocessing
import statistics
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from benchmarks import graphs
from benchmarks.report import Section
from benchmarks.timing import Work, alternate, one_thread, peak_memory, show_ratio, show_seconds, timed, work
from dans_core import Config, KnowledgeGraph, Trainer

T = TypeVar("T")
DECODERS = {"distmult": "DistMult", "complex": "ComplEx", "rotate": "RotatE"}
SAMPLERS = {"dans": "DANS", "uniform": "uniform"}
_NEVER = 100_000
# Epochs on a large graph, where one takes longer than the noise of the machine lasts.
_MOST_ON_LARGE = 2
# A large graph takes PyKEEN minutes an epoch, since every batch encodes the whole graph: so many are timed.
_PEER_BATCHES = 3
# A peer that holds more than this at once is not run, in bytes.
_MOST_MEMORY = 4 * 10**9

_COLUMNS = [
    "PyKEEN ÷ ours", "bar", "PyKEEN in one batch ÷ ours", "graph", "decoder", "negatives", "our epoch",
    "positives a second", "peak memory", "PyKEEN's epoch", "PyKEEN's in one batch",
]  # fmt: skip
_BARS = {
    ("umls", "distmult", "dans"): "≥ 15x (aim 25x)",
    ("umls", "complex", "dans"): "≥ 15x (aim 25x)",
    ("umls", "rotate", "dans"): "≥ 10x",
    ("wn18rr", "complex", "dans"): "about 15 s, < 3 GB",
    ("nell-995", "complex", "dans"): "about 30 s, < 4 GB",
}
_NOTE = (
    "An epoch of ours after the warm-up, without ranking, diagnostics and snapshots, beside an epoch of PyKEEN's "
    "`RGCN` of the same sizes (`SLCWATrainingLoop`, uniform negatives as many, no GAN). PyKEEN takes its default "
    "batch of {batch} triplets, and all of them in one batch, which is what ours does on UMLS. Ours scores every "
    "triplet in both directions with N_s negatives each, PyKEEN once, so ours has twice the positives and the "
    "scores. Medians of {repeats} rounds in turns. On a large graph of {large} epochs in a fresh process, whose peak "
    "memory counts everything: imports, loading, training; of PyKEEN's epoch there only {some} batches are run, unless "
    "it would hold more than {limit:.0f} GB, and the time of all follows (≈)."
)


def epochs_of(kg: KnowledgeGraph, **settings: Any) -> Callable[[], None]:
    """A call that trains ours for one more epoch: no warm-up, and no ranking, diagnostics or snapshot in it."""
    config = Config(
        epochs=_NEVER,
        warmup_epochs=0,
        eval_every=_NEVER,
        diagnose_every=_NEVER,
        snapshot_every=_NEVER,
        **settings,
    )
    trainer = Trainer(kg, config)

    def epoch() -> None:
        wanted = trainer.epoch + 1
        while trainer.epoch < wanted:
            trainer.step()

    return epoch


def measure(datasets: Sequence[str], decoders: Sequence[str], repeats: int) -> Section:
    """Seconds and memory of epochs; no decoders mean all on a small graph and ComplEx on a large one."""
    from benchmarks.peers import PYKEEN_BATCH

    one_thread()
    found, missing = graphs.load(datasets)
    jobs = [
        (name, decoder)
        for name, kg in found.items()
        for decoder in decoders or (DECODERS if graphs.small(kg) else ("complex",))
    ]
    large = min(repeats, _MOST_ON_LARGE)
    effort = {
        name: 3.0 * (repeats + 1) if graphs.small(kg) else len(kg.train) / 5000 * 2 * large
        for name, kg in found.items()
    }
    records: list[dict[str, Any]] = []
    with work(sum(effort[name] for name, _ in jobs)) as progress:
        for name, decoder in jobs:
            progress.now(f"{graphs.title(name)} {DECODERS[decoder]}")
            if graphs.small(found[name]):
                records += _beside_pykeen(name, found[name], decoder, repeats, progress, effort[name])
            else:
                records += _alone(name, found[name], decoder, large, progress, effort[name])
    return Section(
        name="epoch",
        title="One training epoch",
        note=_NOTE.format(
            batch=PYKEEN_BATCH, repeats=repeats, large=large, some=_PEER_BATCHES, limit=_MOST_MEMORY / 1e9
        ),
        columns=_COLUMNS,
        rows=[_row(record) for record in records] + [[text] + [""] * (len(_COLUMNS) - 1) for text in missing],
        records=records,
    )


def _beside_pykeen(
    name: str, kg: KnowledgeGraph, decoder: str, repeats: int, progress: Work, effort: float
) -> list[dict[str, Any]]:
    from benchmarks.peers import PYKEEN_BATCH, pykeen_epochs

    config = Config(decoder=decoder)
    cases = {sampler: epochs_of(kg, decoder=decoder, sampler=sampler) for sampler in SAMPLERS}
    cases["pykeen"] = pykeen_epochs(kg, config, PYKEEN_BATCH)
    cases["pykeen_one_batch"] = pykeen_epochs(kg, config, len(kg.train))
    seconds = alternate(cases, repeats, lambda: progress.done(effort / (repeats + 1)))
    peers = {peer: seconds[peer] for peer in ("pykeen", "pykeen_one_batch")}
    return [
        {"graph": name, "decoder": decoder, "sampler": sampler, "positives": 2 * len(kg.train)}
        | {"seconds": seconds[sampler], "peers": peers}
        for sampler in SAMPLERS
    ]


def _alone(
    name: str, kg: KnowledgeGraph, decoder: str, repeats: int, progress: Work, effort: float
) -> list[dict[str, Any]]:
    """Each sampler in a fresh process, one after the other, and PyKEEN in another."""
    from benchmarks.peers import pykeen_bytes_held

    def fresh(call: Callable[..., T], *arguments: object) -> T:
        with multiprocessing.get_context("spawn").Pool(1) as process:
            result = process.apply(call, arguments)
        progress.done(effort / (len(SAMPLERS) + 1))
        return result

    records = [fresh(in_fresh_process, name, decoder, sampler, repeats) for sampler in SAMPLERS]
    needs = pykeen_bytes_held(kg, Config(decoder=decoder))
    if needs > _MOST_MEMORY:
        progress.done(effort / (len(SAMPLERS) + 1))
        return [record | {"peers": {}, "pykeen_needs_bytes": needs} for record in records]
    seconds = fresh(pykeen_batches_in_fresh_process, name, decoder)
    return [record | {"peers": {"pykeen": [seconds]}, "pykeen_batches": _PEER_BATCHES} for record in records]


def pykeen_batches_in_fresh_process(name: str, decoder: str) -> float:
    """Seconds of a whole epoch of PyKEEN at the pace of `_PEER_BATCHES` batches, after as many to warm up."""
    from benchmarks.peers import PYKEEN_BATCH, pykeen_epochs

    one_thread()
    kg = KnowledgeGraph.load(name)
    batches = pykeen_epochs(kg, Config(decoder=decoder), PYKEEN_BATCH, _PEER_BATCHES)
    batches()
    return timed(batches) / _PEER_BATCHES * math.ceil(len(kg.train) / PYKEEN_BATCH)


def in_fresh_process(name: str, decoder: str, sampler: str, repeats: int) -> dict[str, Any]:
    """Load a graph, train some epochs, and say their seconds and the most memory this process ever held."""
    one_thread()
    kg = KnowledgeGraph.load(name)
    epoch = epochs_of(kg, decoder=decoder, sampler=sampler)
    seconds = [timed(epoch) for _ in range(repeats)]
    return {
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
        shown["pykeen"] = f"not run: needs {record['pykeen_needs_bytes'] / 1e9:.2g} GB"
    return [
        ratio.get("pykeen", "–"),
        _BARS.get(key, ""),
        ratio.get("pykeen_one_batch", "–"),
        graphs.title(record["graph"]),
        DECODERS[record["decoder"]],
        SAMPLERS[record["sampler"]],
        show_seconds(ours),
        f"{record['positives'] / ours:,.0f}",
        f"{record['peak_bytes'] / 1e9:.2f} GB" if "peak_bytes" in record else "–",
        shown.get("pykeen", "–"),
        shown.get("pykeen_one_batch", "–"),
    ]
