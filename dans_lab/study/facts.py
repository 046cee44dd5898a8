"""What a study ran, on what data and machine, and how its figures come about: the facts at the head of its report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dans_core.config import Config
from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS, available
from dans_data.errors import InputError
from dans_data.words import count, duration
from dans_lab.names import DATASETS, METRICS, UNSEEN, unseen_of
from dans_lab.study.folder import StudyRecord
from dans_lab.study.plan import Plan
from dans_lab.study.tables import ResultTable
from dans_lab.study.words import compared

EQUAL = 1.25
"""Times are called equal up to this ratio of the longest to the shortest."""

_RANKING = (
    "Ranking: filtered with all three splits, both sides, all entities as candidates, ties count their mean rank. Each "
    "run is tested with the weights of its best epoch, by valid MRR."
)


def facts(plan: Plan, meta: StudyRecord | None, made: Sequence[ResultTable]) -> list[str]:
    """What was run and on what, a sentence or two each; `made` are the tables of the plan.

    Names in them are from files and may hold anything. Of a study whose study.json cannot be read, `meta` is None.
    """
    configs = [planned.config for planned in plan.jobs]
    found = [] if meta is None else [_data(meta), unseen(meta.seen)]
    found += [_runs(plan), _budget(plan, configs, made)]
    axes = {axis.name for part in plan.parts for axis in (part.rows, *part.columns)}
    default, first = Config(), configs[0].model_dump()
    shared = {
        name: value
        for name, value in first.items()
        if name not in axes | {"seed", "epochs", "negatives"}
        and value != getattr(default, name)
        and all(getattr(config, name) == value for config in configs)
    }
    listed = ", ".join(f"{name} = {_setting(value)}" for name, value in shared.items())
    found.append(f"Settings of all runs other than the defaults: {listed or 'none'}.")
    found.append(by_size(plan))
    found += [] if meta is None else [_begun(meta), _time(meta)]
    found += [_RANKING, compared(len(plan.seeds))]
    return [fact for fact in found if fact]


def _begun(meta: StudyRecord) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in meta.versions.items())
    where = ", ".join(filter(None, (meta.machine, meta.workers)))
    return f"Begun {meta.created[:10]}" + (f" on {where}" if where else "") + f"; {versions}."


def by_size(plan: Plan) -> str:
    """What the size of the graph decided since the study leaves it open, in a sentence; "" for nothing."""
    every, listed = len(plan.kinds), []
    for name, values in plan.by_size.items():
        where = f" in {values.total():,} of {every:,} settings" if values.total() < every else ""
        listed.append(f"{name} = {' or '.join(map(_setting, values))}{where}")
    if not listed:
        return ""
    graph = f"a graph of {plan.train:,} training triplets"
    return f"Left open by the study and chosen for {graph}: {', '.join(listed)}."


def _data(meta: StudyRecord) -> str:
    text = f"Data set: {DATASETS.get(meta.dataset, meta.dataset)}"
    if counts := meta.counts or _counts(meta):
        text += "".join(f", {counts.get(name, 0):,} {name}" for name in ("entities", "relations")) + "; "
        text += " / ".join(f"{counts.get(split, 0):,}" for split in SPLITS)
        text += f" triplets in {' / '.join(SPLITS)}"
    return f"{text} (sha256 {meta.hash[:12]}…)."


def _counts(meta: StudyRecord) -> dict[str, int]:
    """Counts of the data set itself, for a study of before; empty where it is not here, or another."""
    if any(info.name == meta.source and not info.here for info in available()):
        # No report is worth a download.
        return {}
    try:
        kg = KnowledgeGraph.load(meta.source)
    except InputError:
        return {}
    if kg.hash != meta.hash:
        return {}
    return {"entities": kg.num_entities, "relations": kg.num_relations} | {
        split: len(kg.array(split)) for split in SPLITS
    }


def unseen(marks: str) -> str:
    """Why figures stand twice; "" where train shows all entities. `marks` are those of `StudyRecord.seen`."""
    if not marks:
        return ""
    seen = marks.count("1")
    return (
        f"{UNSEEN}: {unseen_of(len(marks) - seen, len(marks), 'test')}. Figures are over all test triplets, and, where "
        f"they say “seen”, over the other {seen:,}."
    )


def _runs(plan: Plan) -> str:
    seeds = ", ".join(map(str, plan.seeds))
    kinds = count(len(plan.kinds), "setting")
    return f"Runs: {len(plan.jobs):,}, of {kinds} with {count(len(plan.seeds), 'seed')} each ({seeds})."


def _budget(plan: Plan, configs: Sequence[Config], made: Sequence[ResultTable]) -> str:
    """What every run may spend, and what differs."""
    epochs = sorted({config.epochs for config in configs})
    negatives = sorted({config.negatives for config in configs if config.declaration.draws})
    text = f"Training budget: {_sentence(plan.budget)} " if plan.budget else ""
    if len(epochs) == 1:
        updates = len({config.batch_size for config in configs}) == 1
        text += f"Equal training budget: {epochs[0]:,} epochs for every run, so as many "
        text += (
            "updates of the base model and as many positives"
            if updates
            else "positives, in batches that differ"
        )
    elif plan.budget:
        text += f"Epochs differ, {epochs[0]:,} to {epochs[-1]:,}, as the tables say"
    else:
        text += (
            f"Training budgets differ: {', '.join(f'{each:,}' for each in epochs)} epochs, as the tables say"
        )
    if len(negatives) == 1:
        text += f", with {negatives[0]:,} negatives per query (N_s)."
    elif negatives:
        text += f"; negatives per query (N_s) differ: {', '.join(f'{each:,}' for each in negatives)}."
    else:
        text += "."
    if negatives:
        text += _without_draws([config for config in configs if not config.declaration.draws])
    if len(epochs) > 1 and plan.budget and (times := _times(made)):
        return f"{text} {times}"
    if len(epochs) == 1 and any(config.waits for config in configs):
        text += " Training a generator of negatives comes on top for those that have one."
    return f"{text} Seconds differ, and are shown."


def _without_draws(configs: Sequence[Config]) -> str:
    """What these, whose samplers draw nothing, have in the place of N_s; a sentence for each sampler."""
    text = ""
    for title in dict.fromkeys(config.declaration.title for config in configs):
        losses = {config.loss for config in configs if config.declaration.title == title}
        text += f" {title} has no N_s: all other entities are its negatives"
        text += ", and its loss is softmax." if losses == {"softmax"} else "."
    return text


def _times(made: Sequence[ResultTable]) -> str:
    """How long the settings really trained, and whether that is equal time."""
    found = [entry.trained for table in made for entry in table.entries]
    means = [each.mean for each in found if each is not None]
    if len(means) < 2 or min(means) <= 0:
        return ""
    least, most = min(means), max(means)
    ratio = most / least
    how = (
        "Equal time"
        if ratio <= EQUAL
        else f"Not quite equal time, as the longest is {ratio:.1f} times the shortest"
    )
    return f"{how}: a setting trained for {duration(least)} to {duration(most)} in the mean over its seeds."


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _time(meta: StudyRecord) -> str:
    said = "" if meta.estimate is None else f"estimated before it began: {duration(meta.estimate)}"
    took = "" if meta.took is None else f"taken: {duration(meta.took)}"
    text = "; ".join(part for part in (said, took) if part)
    if meta.estimate and meta.took:
        text += f", {meta.took / meta.estimate:.2f} × the estimate"
    return f"Time of the whole study, {text}." if text else ""


def _setting(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def floor(meta: StudyRecord) -> str:
    """Its test metrics, over all triplets and over the seen ones; "" where they are not known."""

    def listed(values: dict[str, float]) -> str:
        return ", ".join(f"{METRICS[name]} {values[name]:.3f}" for name in METRICS if name in values)

    if not meta.floor:
        return ""
    what = "ranking by how often an entity fills the slot, no model"
    seen = f" Over the seen triplets: {listed(meta.floor_seen)}." if meta.floor_seen else ""
    return f"Popularity floor on test ({what}): {listed(meta.floor)}.{seen}"
