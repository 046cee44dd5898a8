"""How the cost of a DANS epoch grows as edges, entities, negatives or the embedding size double."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from benchmarks.epoch import epochs_of
from benchmarks.report import Section
from benchmarks.timing import one_thread, processor_seconds, show_seconds, timed, work
from dans_core import KnowledgeGraph
from dans_core.device import name_of
from dans_data.known import distinct


@dataclass(frozen=True)
class Size:
    """What one epoch is measured on; `edges` are train triplets."""

    edges: int = 100_000
    entities: int = 40_000
    negatives: int = 16
    dim: int = 64


SWEEPS: dict[str, tuple[int, ...]] = {
    "edges": (50_000, 100_000, 200_000, 400_000),
    "entities": (20_000, 40_000, 80_000, 160_000),
    "negatives": (8, 16, 32, 64),
    "dim": (32, 64, 128, 256),
}
_NAMES = {"edges": "edges", "entities": "entities", "negatives": "N_s", "dim": "d"}
_BARS = {"edges": "about 1", "entities": "not above 1", "negatives": "not above 1", "dim": "not above 2"}
# What the seconds are fitted to: a constant and these terms, each a power of one size.
_FITS: tuple[tuple[tuple[str, int], ...], ...] = (
    (("edges", 1), ("entities", 1)),
    (("negatives", 1),),
    (("dim", 1), ("dim", 2)),
)
_RELATIONS = 20
# Batches an epoch: as many at every size, since each batch encodes the whole graph once.
_BATCHES = 4
_COLUMNS = ["exponent", "bar", "what doubles", "sizes", "{unit} an epoch", "each doubling"]
_NOTE = (
    "A DANS epoch after the warm-up (ComplEx) on random graphs of {relations} relations, one size at a time away from "
    "{base}; {unit} of one thread, the fastest of {repeats}. An epoch has {batches} batches at every size, "
    "as each encodes the whole graph: with batches of one size, the encoder's share grows with edges × batches. The "
    "exponent is the slope of log seconds over log size; below 1 a part does not grow. Least squares, and what "
    "they leave in the order of the sizes: {fits}."
)


def random_graph(entities: int, edges: int) -> KnowledgeGraph:
    """Distinct random triplets, endpoints uniform; valid and test hold one each."""
    source = np.random.default_rng(0)
    sizes = (entities, _RELATIONS, entities)
    numbers = np.empty(0, dtype=np.int64)
    while len(numbers) < edges:
        more = np.ravel_multi_index(source.integers(0, sizes, (edges + edges // 10, 3)).T, sizes)
        numbers = distinct(np.concatenate([numbers, more]))
    rows = np.stack(np.unravel_index(source.permutation(numbers)[:edges], sizes), axis=1)
    names = [f"{i:07d}" for i in range(entities)]
    return KnowledgeGraph(rows, rows[:1], rows[:1], names, names[:_RELATIONS], f"random-{entities}-{edges}")


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log seconds over log size by least squares: 1 is linear."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def least_squares(
    terms: Sequence[Sequence[float]], seconds: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Coefficients [a, b, c, …] of seconds ≈ a + b · terms[0] + c · terms[1] + …, and the residuals in seconds."""
    matrix = np.stack([np.ones(len(seconds)), *map(np.asarray, terms)], axis=1)
    # Columns of about the same length, or the constant would drown beside the edges.
    scale = np.abs(matrix).max(axis=0)
    solution = np.linalg.lstsq(matrix / scale, np.asarray(seconds), rcond=None)[0] / scale
    return solution.tolist(), (np.asarray(seconds) - matrix @ solution).tolist()


def measure(
    repeats: int,
    base: Size | None = None,
    sweeps: Mapping[str, tuple[int, ...]] | None = None,
    asked: str | torch.device = "cpu",
) -> Section:
    """Seconds of an epoch at each size, the exponents, and the fit over edges and entities."""
    device = one_thread(asked)
    base, sweeps = base or Size(), sweeps or SWEEPS
    sizes = {replace(base, **{name: value}): 0.0 for name, values in sweeps.items() for value in values}
    sizes = {size: _guess(size) for size in sizes}
    seconds: dict[Size, list[float]] = {size: [] for size in sizes}
    with work(sum(sizes.values()) * repeats) as progress:
        # All sizes in turn, again and again, so that a slow minute of the machine is not one size's alone.
        for _ in range(repeats):
            for size, guess in sizes.items():
                progress.now(
                    f"{size.edges:,} edges, {size.entities:,} entities, N_s {size.negatives}, d {size.dim}"
                )
                seconds[size].append(_seconds(size, device))
                progress.done(guess)
    # The least disturbed one: a cost model is about the work, not about the neighbours.
    fastest = {size: min(values) for size, values in seconds.items()}
    fits = [_fit(terms, [s for s in sizes if _varies_only(s, base, terms)], fastest) for terms in _FITS]
    records: list[dict[str, Any]] = [asdict(size) | {"seconds": values} for size, values in seconds.items()]
    records += fits
    unit = "processor seconds" if device.type == "cpu" else "seconds"
    return Section(
        name="scaling",
        title="How the cost grows",
        note=_NOTE.format(
            batches=_BATCHES,
            unit=unit,
            relations=_RELATIONS,
            base=f"{base.edges:,} edges, {base.entities:,} entities, N_s {base.negatives}, d {base.dim}",
            fits="; ".join(fit["text"] for fit in fits),
            repeats=repeats,
        ),
        columns=[column.format(unit=unit) for column in _COLUMNS],
        rows=[_row(name, values, base, fastest) for name, values in sweeps.items()],
        records=records,
        on=name_of(device),
    )


def _varies_only(size: Size, base: Size, terms: Sequence[tuple[str, int]]) -> bool:
    return size == replace(base, **{name: getattr(size, name) for name, _ in terms})


def _fit(
    terms: Sequence[tuple[str, int]], sizes: Sequence[Size], fastest: Mapping[Size, float]
) -> dict[str, Any]:
    columns = [[float(getattr(size, name)) ** power for size in sizes] for name, power in terms]
    seconds = [fastest[size] for size in sizes]
    (constant, *slopes), residuals = least_squares(columns, seconds)
    named = [_NAMES[name] + ("²" if power == 2 else "") for name, power in terms]
    formula = " ".join(
        [f"{constant:.2f} s"]
        + [f"{'+-'[b < 0]} {_small(abs(b))} · {name}" for b, name in zip(slopes, named, strict=True)]
    )
    left = ", ".join(f"{r:+.2f} of {s:.2f} s" for r, s in zip(residuals, seconds, strict=True))
    return {
        "fit": [constant, *slopes],
        "terms": ["1", *named],
        "sizes": [asdict(size) for size in sizes],
        "residuals": residuals,
        "text": f"**{formula}** ({left})",
    }


def _small(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def _seconds(size: Size, device: torch.device) -> float:
    kg = random_graph(size.entities, size.edges)
    epoch = epochs_of(
        kg,
        device,
        sampler="dans",
        negatives=size.negatives,
        dim=size.dim,
        batch_size=math.ceil(size.edges / _BATCHES),
    )
    # A GPU works while the processor waits for it.
    return processor_seconds(epoch) if device.type == "cpu" else timed(epoch)


def _guess(size: Size) -> float:
    """Rough cost for the progress bar."""
    return (size.edges + size.entities / 2) * (size.dim + 16) * (size.negatives + 16)


def _row(name: str, values: tuple[int, ...], base: Size, fastest: Mapping[Size, float]) -> list[str]:
    seconds = [fastest[replace(base, **{name: value})] for value in values]
    return [
        f"{exponent(values, seconds):.2f}",
        _BARS[name],
        _NAMES[name],
        " / ".join(f"{value:,}" for value in values),
        " / ".join(show_seconds(s) for s in seconds),
        " / ".join(f"{after / before:.2f}x" for before, after in itertools.pairwise(seconds)),
    ]
