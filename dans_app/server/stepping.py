"""Rounds of the game, lived through again and measured in the process that inspects networks, which has torch.

What it tells depends on settings, data and seed alone: another process, or another day, tells the same.
"""

from __future__ import annotations

import dataclasses
import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from dans_app.server import helper, inspecting
from dans_core.kg import KnowledgeGraph
from dans_data.errors import InputError
from dans_lab.runs.run import Run

if TYPE_CHECKING:
    from dans_lab.stepping.measured import Measure
    from dans_lab.stepping.relived import Relived

PATIENCE = 0.4
"""Seconds that one request may train; what is not there by then is asked for again."""

_KEPT_RUNS = 2
"""Runs that the process holds between two requests, each with its Trainer and the last rounds."""

_KEPT_ROUNDS = 512
"""Rounds that the server holds, each as one triplet lives it; one of UMLS takes 30 kB."""

Triplet = tuple[int, int, int]


@dataclass(frozen=True)
class Way:
    """How far a round that is not there yet has come: epochs trained, and of how many."""

    epoch: int
    epochs: int


def is_kept(run: Run, kg: KnowledgeGraph, number: int, triplet: Triplet) -> bool:
    """Whether `look` has the round at hand."""
    return _key(run, kg, number, triplet) in _answers()


def look(run: Run, kg: KnowledgeGraph, number: int, triplet: Triplet) -> dict[str, Any] | Way:
    """A round as a triplet lives it, the fields of `Measured`; how far it is where it must be trained first.

    The triplet is a query with its answer: (t, r⁻¹, h) where a head is asked for.

    Raises InputError where the run cannot be stepped through, where it diverges before, and for no training triplet.
    """
    kept, key = _answers(), _key(run, kg, number, triplet)
    if key not in kept:
        settings = run.config.model_dump_json()
        try:
            answer = inspecting.torch_process().ask(
                ask="step",
                path=str(run.path.resolve()),
                settings=settings,
                hash=kg.hash,
                number=number,
                triplet=triplet,
            )
        except RuntimeError as error:
            raise InputError(f"it cannot be lived through again ({error})") from None
        except helper.Busy:
            raise
        except InputError as error:
            # It would be the same the next time.
            kept[key] = error
            raise
        if "measured" not in answer:
            return Way(*answer["way"].tolist())
        kept[key] = str(answer["measured"])
        while len(kept) > _KEPT_ROUNDS:
            kept.popitem(last=False)
    found = kept[key]
    if isinstance(found, InputError):
        raise found
    return json.loads(found)


def _key(run: Run, kg: KnowledgeGraph, number: int, triplet: Triplet) -> tuple[Any, ...]:
    return run.config, kg.hash, number, triplet


@st.cache_resource(show_spinner=False)
def _answers() -> OrderedDict[tuple[Any, ...], str | InputError]:
    """What was measured last, by what was asked."""
    return OrderedDict()


# --- in the process --------------------------------------------------------------------------------------------


@dataclass
class _Session:
    """One run that is stepped through."""

    live: Relived
    measure: Measure


_sessions: OrderedDict[tuple[str, str], _Session] = OrderedDict()


def answer(request: helper.Arrays) -> helper.Arrays:
    """What the process answers to a request of `look`: the round measured, or how far it is."""
    number = int(request["number"])
    key = str(request["settings"]), str(request["hash"])
    session = _sessions.pop(key, None)
    if session is None or (number <= session.live.done and number not in session.live.rounds):
        # What lies before the kept rounds comes again from the start, to the same numbers.
        session = _begun(Run(Path(str(request["path"]))))
    _sessions[key] = session
    while len(_sessions) > _KEPT_RUNS:
        _sessions.popitem(last=False)
    live = session.live
    # Round 1 first, as its plane is the one that all others are turned like.
    if live.done == 0 and live.reach(1, PATIENCE):
        session.measure.plane(live.rounds[1])
    if not live.reach(number, PATIENCE * (live.done > 0)):
        if live.problem:
            raise InputError(f"{live.problem}, before round {number:,}")
        epochs = live.config.warmup_epochs + 1 + (number - 1) * live.config.play_every
        return {"way": np.array([live.trainer.epoch, epochs])}
    head, relation, tail = request["triplet"].tolist()
    found = session.measure.measure(live.rounds[number], (head, relation, tail))
    return {"measured": np.array(json.dumps(dataclasses.asdict(found)))}


def _begun(run: Run) -> _Session:
    from dans_lab.stepping.measured import Measure
    from dans_lab.stepping.relived import Relived

    kg = run.load_kg()
    return _Session(Relived(kg, run.config), Measure(kg, run.config))
