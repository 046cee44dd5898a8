"""How far runs lie apart that differ in their seeds alone, by a study of the same graph that came with the program."""

from __future__ import annotations

import csv
from dataclasses import dataclass

from dans_lab.runs import bounded
from dans_lab.study.folder import Study, shipped_studies

LEAST = 3
"""Fewer runs say nothing of how far seeds lie apart."""


@dataclass(frozen=True)
class Luck:
    """The best valid MRR of `runs` runs of one kind, from `low` to `high`, in the study of this title."""

    study: str
    runs: int
    low: float
    high: float


def luck(data_hash: str, decoder: str, sampler: str) -> Luck | None:
    """Of the shipped studies of these triplets, that with the most runs of this kind, the newest of several.

    None where there is none.

    Raises InputError for a study that is damaged.
    """
    of_graph = [study for study in map(Study, shipped_studies()) if study.meta.hash == data_hash]
    newest_first = sorted(of_graph, key=lambda study: study.meta.created, reverse=True)
    found = [each for study in newest_first if (each := _of(study, decoder, sampler)) is not None]
    return max(found, key=lambda each: each.runs, default=None)


def _of(study: Study, decoder: str, sampler: str) -> Luck | None:
    """Of the settings with this decoder and sampler, those with the most seeds."""
    groups: dict[tuple[str, ...], list[float]] = {}
    rows = csv.DictReader(
        bounded.content(study.path / "runs.csv", bounded.RECORD_BYTES).decode("utf-8").splitlines()
    )
    settings = list(rows.fieldnames or ())
    settings = settings[settings.index("seed") + 1 : settings.index("state")]
    for row in rows:
        if (row["decoder"], row["sampler"], row["state"]) == (decoder, sampler, "finished") and row[
            "valid_mrr"
        ]:
            groups.setdefault(tuple(row[name] for name in settings), []).append(float(row["valid_mrr"]))
    most = max(groups.values(), key=len, default=[])
    return Luck(study.plan.title, len(most), min(most), max(most)) if len(most) >= LEAST else None
