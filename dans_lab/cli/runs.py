"""The command `runs`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dans_data.words import count, megabytes, number, visible_text
from dans_lab.apart import as_words, differing
from dans_lab.cli.output import print_json, print_table
from dans_lab.runs.folder import DiskUse, ListedRun, Shelf

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")]
Studies = Annotated[bool, typer.Option("--studies", help="List the runs of studies, too, which are many.")]

_MOST_SETTINGS = 4
"""Settings in a row of the table."""


def runs(json: Json = False, studies: Studies = False) -> None:
    """All runs of the runs folder and the recorded ones, newest first: state, settings, MRR of valid and test, disk."""
    shelf = Shelf()
    look, disk = shelf.look(), DiskUse()
    listed = [entry for entry in look.entries if studies or entry.run.meta.study is None]
    found = [(entry, disk.of(entry.run.path)) for entry in listed]
    unreadable = {visible_text(name): visible_text(reason) for name, reason in look.unreadable.items()}
    if json:
        rows = [_record(entry, size) for entry, size in found]
        print_json(rows + [{"id": name, "problem": reason} for name, reason in unreadable.items()])
        return
    headings = [
        "name",
        "state",
        "data",
        "decoder",
        "sampler",
        "seed",
        "differs in",
        "epoch",
        "valid MRR",
        "test MRR",
    ]
    headings.append("disk")
    numbers = ("seed", "epoch", "valid MRR", "test MRR", "disk")
    columns = [(heading, heading in numbers) for heading in headings]
    own = [size for entry, size in found if not entry.recorded]
    print_table(
        f"{count(len(own), 'run')} in {shelf.root}, {megabytes(sum(own))}",
        columns,
        [_cells(*each) for each in found],
    )
    if hidden := len(look.entries) - len(listed):
        print(f"{count(hidden, 'run')} of studies not listed; --studies lists them, too")
    for name, reason in unreadable.items():
        print(f"{name}: cannot be read: {reason}")


def _record(entry: ListedRun, size: int) -> dict[str, Any]:
    config, status, meta = entry.run.config, entry.status, entry.run.meta
    return {
        "id": entry.id,
        "name": entry.about.name,
        "note": entry.about.note,
        "recorded": entry.recorded,
        "state": status.state,
        "live": status.live,
        "silent_seconds": status.silent,
        "reason": status.reason,
        "dataset": meta.dataset,
        "study": meta.study,
        "decoder": config.decoder,
        "sampler": config.sampler,
        "seed": config.seed,
        "epoch": status.epoch,
        "epochs": status.epochs,
        "best_mrr": status.best_mrr,
        "best_epoch": status.best_epoch,
        "test_mrr": status.test_mrr,
        "differs": dict(differing(config)),
        "seconds": status.seconds,
        "created": meta.created,
        "bytes": size,
        "path": str(entry.run.path),
        "problem": "",
    }


def _cells(entry: ListedRun, size: int) -> list[str]:
    """One row of the table for people."""
    config, status = entry.run.config, entry.status
    name = f"{entry.about.name} ({entry.id})" if entry.about.name else entry.id
    state = "recorded" if entry.recorded else status.state if status.silent is None else "does not answer"
    epoch = f"{status.epoch:,} of {status.epochs:,}"
    settings = [entry.run.meta.dataset, config.decoder, config.sampler, str(config.seed)]
    apart = ", ".join(as_words(differing(config), _MOST_SETTINGS))
    ranked = number(status.best_mrr), number(status.test_mrr)
    return [name, state, *settings, apart, epoch, *ranked, megabytes(size)]
