"""Which runs there are on the Runs screen, and which of them a filter lets pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import streamlit as st

from dans_app.shared import shell
from dans_lab.runs.folder import ListedRun, ListedRuns, Shelf
from dans_lab.runs.run import runs_dir

LONGEST_TEXT = 100
"""Characters of a text to find."""


def look() -> ListedRuns:
    """All runs as they are now."""
    return _shelf(str(runs_dir())).look()


@st.cache_resource(max_entries=4, show_spinner=False)
def _shelf(root: str) -> Shelf:
    return Shelf(root)


def of_studies(entries: Iterable[ListedRun]) -> int:
    """How many of the runs belong to a study."""
    return sum(entry.run.meta.study is not None for entry in entries)


@dataclass(frozen=True)
class Filter:
    """What a run must fit to be shown; an empty part lets all pass. Each word of `text` must occur somewhere.

    Runs of studies, which are many, pass only with `studies`.
    """

    text: str = ""
    data: tuple[str, ...] = ()
    decoders: tuple[str, ...] = ()
    samplers: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    studies: bool = False

    def lets_pass(self, entry: ListedRun) -> bool:
        """Whether this run is shown."""
        config, meta, about = entry.run.config, entry.run.meta, entry.about
        if meta.study is not None and not self.studies:
            return False
        chosen = (
            (self.data, meta.dataset),
            (self.decoders, config.decoder),
            (self.samplers, config.sampler),
            (self.states, entry.status.state),
        )
        if any(part and value not in part for part, value in chosen):
            return False
        places = " ".join(
            (about.name, about.note, entry.id, meta.dataset, shell.dataset_name(meta.dataset))
        ).casefold()
        return all(word in places for word in self.text.casefold().split())
