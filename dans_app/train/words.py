"""What the Train screen says of a run: its negatives, its result, and how it compares with its twin."""

from __future__ import annotations

from dans_app.server import jobs
from dans_app.shared import cost_words, curves, theme
from dans_app.shared.run_history import RunHistory
from dans_core.config import Config
from dans_lab.names import about_negatives
from dans_lab.runs.run import Run

# *Measured* with the default settings, seeds 10 to 19 (results/umls/samplers-umls): best valid MRR of ComplEx 0.908 …
# 0.925 with DANS, 0.902 … 0.914 with uniform negatives.
SEED_NOTE = "on UMLS, ten runs that differed in nothing but the seed lay up to 0.017 apart"


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


def result(history: RunHistory, floor: float | None) -> str:
    """The best ranking so far beside the popularity floor, in a sentence; "" before the first ranking."""
    if history.best is None:
        return ""
    text = f"Best valid MRR **{history.best.mrr:.3f}** at epoch {history.best.epoch:,}"
    return f"{text}; ranking by popularity alone gets {floor:.3f}." if floor is not None else f"{text}."


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
    own = [run for run in runs if not run.recorded]
    told = jobs.forecast([config, twin], 5, jobs.experience(dataset, own))
    return f"A fair comparison takes five seeds of each: {cost_words.together(told)}."


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
