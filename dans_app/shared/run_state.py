"""What runs are doing: their curves up to date, and their state in a sentence."""

from __future__ import annotations

import time
from datetime import datetime

import streamlit as st

from dans_app.shared.run_history import RunHistory
from dans_app.shared.words import markdown_text
from dans_core.config import Config
from dans_data.words import seconds_in_words
from dans_lab.going_on import ended_early
from dans_lab.runs.records import Status
from dans_lab.runs.run import Run

MOMENT = 0.3
"""Seconds that a page waits at most for the first loss."""

FIRST_SECONDS = 5.0
"""Age of a run beyond which its page no longer hurries for the first loss: its first epoch takes long, and the core."""

_HISTORIES = "dans_histories"
_KEPT = 4


def history(run: Run) -> RunHistory:
    """The history of a run, up to date; only what is new is read."""
    return histories(run)[0]


def histories(*runs: Run) -> list[RunHistory]:
    """The histories of these runs, up to date. A session keeps the latest few."""
    kept: dict[str, RunHistory] = st.session_state.setdefault(_HISTORIES, {})
    found = []
    for run in runs:
        known = kept.pop(run.id, None) or RunHistory(run.id)
        kept[run.id] = known.follow(run)
        found.append(kept[run.id])
    for run_id in list(kept)[: -max(_KEPT, len(runs))]:
        del kept[run_id]
    return found


def under_way(status: Status) -> bool:
    """Whether a process holds the run, or is about to."""
    return status.live or status.state == "queued"


def wish(run: Run, status: Status) -> str:
    """What was asked of the run and is not done yet: "Stopping", "Pausing", "Resuming", or ""."""
    if run.recorded or not under_way(status):
        return ""
    asked = run.asked
    if asked.stop:
        return "Stopping"
    if asked.run_until is None:
        return "Resuming" if status.state == "paused" else ""
    return "Pausing" if status.state != "paused" and status.stage_number >= asked.run_until else ""


def cut_short(status: Status, history: RunHistory) -> str | None:
    """A sentence where the log of events ends before the run did, as a file does that was cut; else None."""
    if under_way(status) or history.epoch >= status.epoch:
        return None
    return (
        f"The log of events of this run is cut off: it tells of {history.epoch:,} epochs, and {status.epoch:,} were "
        "trained. What is drawn here ends there."
    )


def begins(run: Run, status: Status, history: RunHistory) -> bool:
    """Whether it has just begun and its first loss is due any moment."""
    if history.epoch or status.state == "paused" or not under_way(status):
        return False
    return abs(time.time() - datetime.fromisoformat(run.meta.created).timestamp()) < FIRST_SECONDS


def first_loss(run: Run, history: RunHistory) -> None:
    """Wait a moment for the first loss of a run that has just begun, so that it is on the screen with the run."""
    end = time.monotonic() + MOMENT
    while not history.epoch and time.monotonic() < end:
        time.sleep(0.01)
        history.follow(run)


def sentence(status: Status, config: Config, wish: str = "") -> str:
    """What the run is doing, in a sentence; `wish` is what it is about to do."""
    place = f"epoch {status.epoch:,} of {status.epochs:,}"
    if status.silent is not None:
        return (
            f"No answer for {seconds_in_words(status.silent)}, at {place}: its process is stopped, or this machine too "
            "busy for it. The run goes on when the process does."
        )
    if wish:
        return f"{wish} at {place} …"
    match status.state:
        case "queued":
            return "Starting: a training process is taking the run."
        case "running":
            left = "" if status.eta_seconds is None else f", {seconds_in_words(status.eta_seconds)} left"
            warm = config.waits and status.epoch < config.warmup_epochs
            who = "the GAN" if config.fakes else config.declaration.title
            what = f"; warm-up, {who} has yet to start" if warm else ""
            return f"E{place[1:]}{left}{what}."
        case "paused":
            return f"Paused at {place}. Resuming goes on exactly here."
        case "stopped" if status.reason:
            reason = markdown_text(status.reason, 300)
            return f"Stopped at {place}: {reason}. What it learned until its last checkpoint is kept, and it can go on."
        case "stopped":
            return f"Stopped at {place}. What it learned so far is kept, and it can go on."
        case "interrupted":
            return f"Interrupted at {place}: its process is gone. It can go on from its last checkpoint."
        case "failed":
            return f"Failed at {place}: {markdown_text(status.reason, 300)}."
        case _:
            seconds = status.seconds
            took = f"{max(1, round(seconds))} s" if seconds < 90 else seconds_in_words(seconds)
            if ended_early(status):
                return (
                    f"Ended early, at {place}, in {took}: for {config.patience:,} epochs the valid ranking got no "
                    "better."
                )
            last = (
                "" if status.best_mrr is not None else " There is no valid split: the last weights are kept."
            )
            return f"{status.epochs:,} epochs in {took}.{last}"
