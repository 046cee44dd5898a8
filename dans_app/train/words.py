"""What the Train screen says of a run: its negatives, its result, and how it compares with its twin."""

from __future__ import annotations

import streamlit as st

from dans_app.server import jobs
from dans_app.shared import cost_words, curves, theme
from dans_app.shared.run_history import RunHistory
from dans_app.shared.words import capital, markdown_text
from dans_core.config import Config
from dans_data.errors import InputError
from dans_lab import standing, warm_up
from dans_lab.names import about_negatives
from dans_lab.runs.run import Run
from dans_lab.study.luck import LEAST, Luck, luck


def about_sampler(config: Config) -> str:
    """What the run's negatives are, which parts of DANS it leaves out, and how many come from where; in Markdown."""
    title, about = config.declaration.title, config.declaration.about
    if not config.fakes:
        return f"**{title}.** {about}"
    parts = {
        "without G_E": config.pathways == "G_R",
        "without G_R": config.pathways == "G_E",
        "without random negatives": config.reading == "vectors" and not config.random_negatives,
        "without FiLM": config.film == "none",
        "with a FiLM that is not trained": config.film == "frozen",
        "without D_aux": not curves.has_aux(config),
        "with a D that sees the query": config.conditional_d,
    }
    without = ", ".join(part for part, is_so in parts.items() if is_so)
    what = f"**{title}** {without}." if without else f"**{title}.** {about}"
    return f"{what} {about_negatives(config)}"


def result(history: RunHistory, floor: float | None, config: Config, live: bool) -> str:
    """The best ranking so far beside the popularity floor, in sentences; "" before the first ranking.

    That its epoch lies in the warm-up is said unless the run is `live` and still in it.
    """
    if history.best is None:
        return ""
    text = f"Best valid MRR **{history.best.mrr:.3f}** at epoch {history.best.epoch:,}"
    text = f"{text}; ranking by popularity alone gets {floor:.3f}." if floor is not None else f"{text}."
    early = warm_up.told(config, history.best.epoch)
    return f"{text} **{early}**" if early and not (live and warm_up.unmet(config, history.epoch)) else text


def nothing_wrong(config: Config, history: RunHistory) -> str:
    """What it means that no warning stands."""
    if not config.fakes:
        return "Nothing is wrong now."
    last = history.diagnoses[-1].epoch if history.diagnoses else 0
    if last <= config.warmup_epochs:
        return "The game has not begun or was not measured since, so there is nothing to judge yet."
    return (
        f"Nothing is wrong at epoch {last:,}: the fakes of different conditions differ, so do the draws for one, they "
        "are no easier than random negatives, and neither G nor D outruns the other."
    )


def comparison(
    run: Run,
    twin: Run,
    runs: list[Run],
    floor: float | None = None,
    gains: tuple[float | None, float | None] = (None, None),
) -> str:
    """The best valid MRR of a run and its twin, side by side, without a winner, and what they rest on.

    `floor` is that of popularity alone, `gains` the `late_gain` of the run and of the twin.
    """
    parts = []
    order = list(theme.SAMPLERS)
    both = sorted((run, twin), key=lambda one: order.index(one.config.sampler))
    for each in both:
        status = each.stored_status
        value = "no ranking yet" if status.best_mrr is None else f"**{status.best_mrr:.3f}**"
        soon = "" if status.state == "finished" else f" so far (epoch {status.epoch:,} of {status.epochs:,})"
        parts.append(f"{theme.SAMPLERS[each.config.sampler]} {value}{soon}")
    reasons = (warm_up.withheld(theme.SAMPLERS[each.config.sampler], each, "best") for each in both)
    if reason := next(filter(None, reasons), ""):
        return f"Best valid MRR: {', '.join(parts)}. That compares no samplers: {reason}."
    return (
        f"Best valid MRR: {', '.join(parts)}.{_standing(run, twin, floor, gains)} One run of each proves nothing"
        f"{_seed_spread(both[0], runs)}."
    )


def _standing(run: Run, twin: Run, floor: float | None, gains: tuple[float | None, float | None]) -> str:
    """Why the two may say nothing yet, in a sentence; "" where nothing speaks against them."""
    first, second = run.stored_status.best_mrr, twin.stored_status.best_mrr
    if first is None or second is None:
        return ""
    why = standing.why_withheld((first, second), floor, gains, sure=True)
    return "" if why is None else f" **{capital(why)}**: {standing.ABOUT[why]}."


def five_seeds(config: Config, twin: Config, dataset: str, runs: list[Run]) -> str:
    """What a fair comparison would take: both samplers with five seeds."""
    own = [run for run in runs if not run.recorded]
    told = jobs.forecast([config, twin], 5, jobs.experience(dataset, own))
    return f"A fair comparison takes five seeds of each: {cost_words.together(told)}."


def _seed_spread(run: Run, runs: list[Run]) -> str:
    """How much the seed alone changes the result on this graph, as it was measured; "" where it was not."""
    settings = run.config.model_dump(exclude={"seed"})
    found = {
        other.config.seed: other.stored_status.best_mrr
        for other in runs
        if other.meta.hash == run.meta.hash
        and other.config.model_dump(exclude={"seed"}) == settings
        and other.stored_status.state == "finished"
        and other.stored_status.best_mrr is not None
    }
    if len(found) >= LEAST:
        values = [value for value in found.values() if value is not None]
        low, high = min(values), max(values)
        return (
            f": your {len(found)} runs that differ in nothing but the seed reach from {low:.3f} to {high:.3f}"
        )
    known = _luck(run.meta.hash, run.config.decoder, run.config.sampler)
    if known is None:
        return ""
    return (
        f": in the study “{markdown_text(known.study)}” of this graph {known.runs} runs of "
        f"{theme.DECODERS[run.config.decoder]} with {theme.SAMPLERS[run.config.sampler]} that differ in nothing "
        f"but the seed reach from {known.low:.3f} to {known.high:.3f}"
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _luck(data_hash: str, decoder: str, sampler: str) -> Luck | None:
    try:
        return luck(data_hash, decoder, sampler)
    except InputError:
        # A sentence without a number says no more than it knows.
        return None
