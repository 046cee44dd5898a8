"""Words and state of a run on the Train screen: what it is doing, and how it compares."""

from __future__ import annotations

import time
from datetime import datetime

import streamlit as st

from dans_app.server import jobs
from dans_app.shared import curves, theme
from dans_app.shared.run_curves import Story
from dans_app.shared.shell import plain
from dans_core.config import Config
from dans_lab.runs.records import Status
from dans_lab.runs.run import Run

MOMENT = 0.3
"""Seconds that a page waits at most for the first loss."""

FIRST_SECONDS = 5.0
"""Age of a run beyond which its page no longer hurries for the first loss: its first epoch takes long, and the core."""

_STORIES = "dans_stories"
_KEPT = 4

# *Measured* with the default settings, seeds 0 to 4 (results/umls/main): best valid MRR of ComplEx 0.896 … 0.904 with
# DANS, 0.908 … 0.927 with uniform negatives.
SEED_NOTE = "on UMLS, five runs that differed in nothing but the seed lay up to 0.019 apart"


def stories(*runs: Run | None) -> list[Story | None]:
    """The stories of these runs, up to date: one read of what is new, each. A session keeps the latest few."""
    kept: dict[str, Story] = st.session_state.setdefault(_STORIES, {})
    found = []
    for run in runs:
        story = None
        if run is not None:
            story = kept.pop(run.id, None) or Story(run.id)
            kept[run.id] = story.follow(run)
        found.append(story)
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


def begins(run: Run, status: Status, story: Story) -> bool:
    """Whether it has just begun and its first loss is due any moment."""
    if story.epoch or status.state == "paused" or not under_way(status):
        return False
    return abs(time.time() - datetime.fromisoformat(run.meta.created).timestamp()) < FIRST_SECONDS


def first_loss(run: Run, story: Story) -> None:
    """Wait a moment for the first loss of a run that has just begun, so that it is on the screen with the run."""
    end = time.monotonic() + MOMENT
    while not story.epoch and time.monotonic() < end:
        time.sleep(0.01)
        story.follow(run)


def sentence(status: Status, config: Config, wish: str = "") -> str:
    """What the run is doing, in a sentence; `wish` is what it is about to do."""
    place = f"epoch {status.epoch:,} of {status.epochs:,}"
    if wish:
        return f"{wish} at {place} …"
    match status.state:
        case "queued":
            return "Starting: a training process is taking the run."
        case "running":
            left = "" if status.eta_seconds is None else f", {jobs.seconds_in_words(status.eta_seconds)} left"
            warm = config.waits and status.epoch < config.warmup_epochs
            who = "the GAN" if config.sampler == "dans" else f"{theme.SAMPLERS[config.sampler]}’s generator"
            what = f"; warm-up, {who} has yet to start" if warm else ""
            return f"E{place[1:]}{left}{what}."
        case "paused":
            return f"Paused at {place}. Resuming goes on exactly here."
        case "stopped":
            return f"Stopped at {place}. What it learned so far is kept, and it can go on."
        case "interrupted":
            return f"Interrupted at {place}: its process is gone. It can go on from its last checkpoint."
        case "failed":
            return f"Failed at {place}: {plain(status.reason, 300)}."
        case _:
            seconds = status.seconds
            took = f"{max(1, round(seconds))} s" if seconds < 90 else jobs.seconds_in_words(seconds)
            return f"{status.epochs:,} epochs in {took}."


def about_sampler(config: Config) -> str:
    """What the run's negatives are, and which parts of DANS it leaves out, in Markdown."""
    title, about = theme.SAMPLERS[config.sampler], theme.SAMPLERS_ABOUT[config.sampler]
    if config.sampler != "dans":
        return f"**{title}.** {about}"
    parts = {
        "without G_E": config.pathways == "G_R",
        "without G_R": config.pathways == "G_E",
        "without random negatives": not config.random_negatives,
        "without FiLM": config.film == "none",
        "with a FiLM that is not trained": config.film == "frozen",
        "without D_aux": not curves.has_aux(config),
        "with a D that sees the query": config.conditional_d,
    }
    without = ", ".join(part for part, is_so in parts.items() if is_so)
    return f"**{title}** {without}." if without else f"**{title}.** {about}"


def result(story: Story, floor: float | None) -> str:
    """The best ranking so far beside the popularity floor, in a sentence; "" before the first ranking."""
    if story.best is None:
        return ""
    text = f"Best valid MRR **{story.best.mrr:.3f}** at epoch {story.best.epoch:,}"
    return f"{text}; ranking by popularity alone gets {floor:.3f}." if floor is not None else f"{text}."


def comparison(run: Run, twin: Run, runs: list[Run]) -> str:
    """The best valid MRR of a run and its twin, side by side, without a winner."""
    parts = []
    order = list(theme.SAMPLERS)
    for each in sorted((run, twin), key=lambda one: order.index(one.config.sampler)):
        status = each.stored_status
        value = "no ranking yet" if status.best_mrr is None else f"**{status.best_mrr:.3f}**"
        soon = "" if status.state == "finished" else f" so far (epoch {status.epoch:,} of {status.epochs:,})"
        parts.append(f"{theme.SAMPLERS[each.config.sampler]} {value}{soon}")
    return f"Best valid MRR: {', '.join(parts)}. One run of each proves nothing: {_seed_spread(run, runs)}."


def five_seeds(config: Config, twin: Config, dataset: str, runs: list[Run]) -> str:
    """What a fair comparison would take: both samplers with five seeds."""
    each = [jobs.estimate(one, dataset, runs).seconds for one in (config, twin)]
    total = jobs.seconds_in_words(5 * sum(each))
    return f"A fair comparison takes five seeds of each: 10 runs, {total} one after another on this machine."


def _seed_spread(run: Run, runs: list[Run]) -> str:
    """How much the seed alone changes the result: measured where runs allow it, else from the documentation."""
    settings = run.config.model_dump(exclude={"seed"})
    found = {
        other.config.seed: other.stored_status.best_mrr
        for other in runs
        if other.meta.hash == run.meta.hash
        and other.config.model_dump(exclude={"seed"}) == settings
        and other.stored_status.state == "finished"
        and other.stored_status.best_mrr is not None
    }
    if len(found) >= 3:
        values = [value for value in found.values() if value is not None]
        low, high = min(values), max(values)
        return (
            f"your {len(found)} runs that differ in nothing but the seed reach from {low:.3f} to {high:.3f}"
        )
    return SEED_NOTE
