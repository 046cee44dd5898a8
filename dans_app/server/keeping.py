"""What a visitor adds to this machine or takes from it: done where their role, or that it is theirs, allows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dans_app.server import visitors
from dans_data import fetch, own
from dans_data.fetch import Progress
from dans_data.triplets import Dataset
from dans_lab.runs import folder, trash
from dans_lab.runs.run import Run, open_run


def delete(run_ids: Sequence[str]) -> None:
    """Move runs to the trash, all or none; raises as `trash.delete`, and InputError for another's."""
    for run_id in run_ids:
        visitors.need_own(open_run(run_id), f"deleting run {run_id}")
    trash.delete(run_ids)


def restore(key: str) -> None:
    """Take a run out of the trash; raises as `trash.restore`, and InputError for another's."""
    for each in trash.trashed():
        if each.key == key:
            visitors.need_own(Run(each.path), f"restoring run {each.run_id}")
    trash.restore(key)


def remove_for_good(keys: Sequence[str]) -> None:
    """Remove these from the trash; raises as `trash.remove_for_good`, and InputError for who is no teacher."""
    visitors.need("teacher", "emptying the trash")
    trash.remove_for_good(keys)


def clear_cache() -> None:
    """Raises as `trash.clear_cache`, and InputError for who is no teacher."""
    visitors.need("teacher", "clearing the cache")
    trash.clear_cache()


def describe(run: Run, name: str, note: str) -> None:
    """Keep name and note of a run; raises as `folder.write_about`, and InputError for another's."""
    visitors.need_own(run, f"naming run {run.id}")
    folder.write_about(run, name, note)


def add_data(dataset: Dataset, name: str, original: str) -> Path:
    """Keep a data set; raises as `own.add`, and InputError for a viewer."""
    visitors.need("student", "adding a data set")
    return own.add(dataset, name, original=original)


def remove_data(name: str) -> None:
    """Remove a data set of one's own; raises as `own.remove`, and InputError for who is no teacher."""
    visitors.need("teacher", "removing a data set")
    own.remove(name)


def download(name: str, tell: Progress) -> None:
    """Fetch a data set; raises as `fetch.fetch`, and InputError for who is no teacher."""
    visitors.need("teacher", "downloading a data set")
    fetch.fetch(name, tell)
