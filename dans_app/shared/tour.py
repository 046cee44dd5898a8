"""The tour "What is this?": five stops over the real screens, each a card at the top, its place in the address."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dans_app.server import inspecting, loading
from dans_app.shared.words import markdown_text
from dans_data.errors import InputError
from dans_data.words import number
from dans_lab.runs.run import Run, recorded_runs

TITLE = "What is this?"
KEY = "tour"
"""Query key of the number of the stop, from 1."""

_RUN = "umls-complex-dans"
_FACT = ("regulation_or_law", "affects", "patient_or_disabled_group")
_DRAWS = 5

Go = Callable[[str, dict[str, str]], None]
"""Goes to the screen of this title with this query."""


@dataclass(frozen=True)
class Stop:
    """A stop of the tour: the title of its screen, the query of its address, and up to three sentences in Markdown."""

    title: str
    says: str
    query: dict[str, str] = field(default_factory=dict)


STOPS = (
    Stop(
        "Train",
        "A fact is a **triplet** of head, relation and tail, such as (enzyme, affects, cell_function); a model learns "
        "to rank it above **negatives**, triplets with another tail. DANS has a GAN make these: its generator invents "
        "tails, its discriminator tells them from real ones. "
        "Below is a run on UMLS, a small medical graph: what they lose, and how well the model ranks true tails "
        "(MRR, at best 1).",
    ),
    Stop(
        "How it works",
        "Two **pathways** of the generator invent tails: G_E from the head alone, G_R from head and relation. Press a "
        "part of the drawing, or a word below it, for its formula with the numbers of this run.",
        {"part": "g_r"},
    ),
    Stop(
        "Map",
        f"Every point is an entity, or a **fake**, an invented tail, here of the relation *{_FACT[1]}*; press Play to "
        "see how they moved as the run learned.",
        {"relation": _FACT[1]},
    ),
    Stop(
        "Triplet",
        f"Here is a fact: *{' '.join(_FACT)}*.",
        dict(zip(("head", "relation", "tail"), _FACT, strict=True)) | {"negative": "G_R.1"},
    ),
    Stop(
        "Studies",
        "**Does it help?** One run proves nothing: this study has ten seeds of each way to choose negatives, and marks "
        "a difference only where luck does not explain it.",
        {"study": "umls/samplers-umls"},
    ),
)


def run() -> Run | None:
    """The recorded run that the tour looks at; without it there is no tour."""
    return next((run for run in recorded_runs() if run.id == _RUN), None)


def address(stop: int) -> dict[str, str]:
    """The query of a stop, from 1."""
    return {"run": _RUN, **STOPS[stop - 1].query, KEY: str(stop)}


def asked(text: str | None, title: str) -> tuple[int | None, str | None]:
    """The stop that an address asks for on the screen of this title, and what is wrong with it, if it is not there."""
    if text is None:
        return None, None
    if text not in {str(stop) for stop in range(1, len(STOPS) + 1)}:
        return (
            None,
            f"The tour has the stops 1 to {len(STOPS)}; the address asks for “{markdown_text(text, 20)}”.",
        )
    stop = STOPS[int(text) - 1]
    if stop.title != title:
        return None, f"Stop {text} of the tour is on the screen {stop.title}; begin it on Train."
    if run() is None:
        return None, f"The tour looks at the recorded run {_RUN}, which is not here."
    return int(text), None


def offer(go: Go) -> None:
    """The button that begins the tour, where there is something to show."""
    if run() and st.button(
        f"{TITLE} (2 minutes)", icon=":material/tour:", key="tour_begin", help="A tour of five stops."
    ):
        go(STOPS[0].title, address(1))


def card(stop: int, go: Go) -> DeltaGenerator:
    """The card of a stop; answers the place of its words, for what is found out after the screen is drawn."""
    ahead = _look_ahead()
    title, last = STOPS[stop - 1].title, stop == len(STOPS)
    with st.container(
        key="tour_card", border=True, horizontal=True, vertical_alignment="center", gap="small"
    ):
        words = st.empty()
        words.markdown(_words(stop, kept_negative() if title == "Map" else ""), width="stretch")
        if not ahead.is_alive():
            name_a_negative(stop, words)
        with st.container(horizontal=True, gap="xsmall", width="content"):
            if stop > 1 and st.button("Back", icon=":material/arrow_back:", key="tour_back"):
                go(STOPS[stop - 2].title, address(stop - 1))
            if not last and st.button(
                "Next", icon=":material/arrow_forward:", key="tour_next", type="primary"
            ):
                go(STOPS[stop].title, address(stop + 1))
            if last and st.button(
                "To the lessons", icon=":material/arrow_forward:", key="tour_lessons", type="primary"
            ):
                go("Lessons", {})
            if st.button("Done" if last else "Leave", key="tour_leave", type="tertiary"):
                go(title, {name: value for name, value in address(stop).items() if name != KEY})
    return words


def _words(stop: int, more: str = "") -> str:
    return f"**{TITLE} {stop} of {len(STOPS)}** · {STOPS[stop - 1].says}{more and f' {more}'}"


@st.cache_resource(show_spinner=False)
def _look_ahead() -> threading.Thread:
    """Have the networks of the run loaded, which takes seconds, before the stop that asks them is reached."""
    thread = threading.Thread(target=_load, name="tour", daemon=True)
    thread.start()
    return thread


def _load() -> None:
    # The screen itself says what is wrong with the run.
    with contextlib.suppress(InputError, RuntimeError):
        if recorded := run():
            inspecting.look_ahead(recorded, "best")


def name_a_negative(stop: int, words: DeltaGenerator) -> None:
    """Say on the Triplet screen which negative was generated; where its networks are not loaded yet this takes long."""
    if STOPS[stop - 1].title == "Triplet" and (found := negative()):
        words.markdown(_words(stop, found), width="stretch")


def kept_negative() -> str:
    """The fake of G_R for the fact of the tour that the newest snapshot keeps, in a sentence; needs no networks.

    "" where the run cannot be read, or keeps no fake for it.
    """
    if (recorded := run()) is None:
        return ""
    try:
        kg = loading.graph(recorded)
        frame = loading.frame(recorded, recorded.snapshots()[-1][0], kg)
    except InputError:
        # The screen itself says what is wrong with the run.
        return ""
    head, relation = kg.entity_id(_FACT[0]), kg.relations.index(_FACT[1])
    row = np.flatnonzero((frame.queries == (head, relation)).all(axis=1))
    if not len(row):
        return ""
    nearest = int(frame.nearest("G_R", row)[0][0])
    known = "a known answer" if kg.split_of(head, relation, nearest) else "no known answer"
    return (
        f"One of them is for *{_FACT[0]}*: G_R invented a tail that is most like "
        f"**{markdown_text(kg.entities[nearest])}**, {known}."
    )


def negative() -> str:
    """The first fake of G_R for the fact of the tour, in a sentence; "" where the run cannot be asked."""
    if (recorded := run()) is None:
        return ""
    try:
        kg = loading.graph(recorded)
        head, relation, tail = _FACT
        query = kg.entity_id(head), kg.relations.index(relation), kg.entity_id(tail)
        seen, _ = inspecting.inspect(recorded, kg, inspecting.checkpoints(recorded)[0], query, _DRAWS, 0)
    except InputError:
        # The screen itself says what is wrong with the run.
        return ""
    row = next(row for row in seen.negatives if row.source == "G_R")
    fault = "" if row.known is None else ", a known fact, so it would be a false negative"
    return (
        f"For it G_R invented a tail that is most like **{markdown_text(row.nearest)}**{fault}; its "
        f"noise is another than on the map. The model scores it {number(row.score, 2)} and the fact "
        f"{number(seen.positive.score, 2)}; the chart shows the difference."
    )
