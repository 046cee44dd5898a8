"""Runs shown beside the chosen one: which can be, which an address asks for, and what tells each from the others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dans_app.server import inspecting
from dans_app.shared import shell, theme
from dans_app.shared.words import markdown_text
from dans_core.config import matters
from dans_core.kg import KnowledgeGraph
from dans_lab.apart import in_words
from dans_lab.runs.folder import about_or_nothing
from dans_lab.runs.run import Run, find_twin, list_runs, recorded_runs

MOST = 3
"""More would not fit beside one another."""

_MOST_DIFFERENCES = 2


def others(run: Run, kg: KnowledgeGraph, asked: str | None = None) -> dict[str, Run]:
    """The other runs by id: on the same data and with weights to look at, own ones before recorded ones.

    Of the many runs of studies only the twin, and those that are `asked` for, as in `wanted`.
    """
    every: dict[str, Run] = {}
    for other in (*list_runs(), *recorded_runs()):
        every.setdefault(other.id, other)
    twin = find_twin(run, list(every.values()))
    shown = {*(asked or "")[:1000].split(","), *([twin.id] if twin else [])}
    return {
        run_id: other
        for run_id, other in shell.without_studies(every, shown).items()
        if run_id != run.id and other.meta.hash == kg.hash and inspecting.checkpoints(other)
    }


def wanted(
    text: str | None, run: Run, kg: KnowledgeGraph, known: dict[str, Run]
) -> tuple[list[str], str | None]:
    """Ids separated by commas, "none" for none, and by default that of the twin; and what is wrong with the text."""
    if text is None:
        return default(run, known), None
    asked = list(dict.fromkeys(part for part in text[:1000].split(",") if part and part != "none"))
    chosen = [part for part in asked if part in known]
    if unknown := [part for part in asked if part not in known]:
        return chosen[:MOST], _problem(unknown[0], run, kg)
    if len(chosen) > MOST:
        return chosen[:MOST], f"At most {MOST} runs fit beside this one; the first {MOST} are shown."
    return chosen, None


def default(run: Run, known: dict[str, Run]) -> list[str]:
    """The twin of the run, where there is one."""
    twin = find_twin(run, list(known.values()))
    return [twin.id] if twin else []


def address(chosen: list[str], run: Run, known: dict[str, Run]) -> str | None:
    """What an address says of a choice, the other way round from `wanted`."""
    return None if chosen == default(run, known) else ",".join(chosen) or "none"


def labels(run: Run, beside: Sequence[Run]) -> dict[str, str]:
    """What tells each run from `run`, by id: the name that a person gave it, else what differs.

    That is its sampler and its settings, such as "Uniform · seed 1".
    """
    found = {run.id: about_or_nothing(run).name or _sampler(run)}
    own = run.config.model_dump()
    for other in beside:
        values = other.config.model_dump()
        differs = [
            _setting(name, value)
            for name, value in values.items()
            if name != "sampler" and value != own[name] and _matters(name, other)
        ]
        more = ["…"] if len(differs) > _MOST_DIFFERENCES else []
        parts = [_sampler(other), *differs[:_MOST_DIFFERENCES], *more]
        label = about_or_nothing(other).name or " · ".join(parts)
        found[other.id] = other.id if label in found.values() else label
    return found


def _matters(name: str, run: Run) -> bool:
    return matters(name, run.config.sampler, run.config.reading)


def _sampler(run: Run) -> str:
    return theme.SAMPLERS.get(run.config.sampler, run.config.sampler)


def _setting(name: str, value: object) -> str:
    if name == "decoder":
        return theme.DECODERS.get(str(value), str(value))
    return in_words(name, value)


def _problem(run_id: str, run: Run, kg: KnowledgeGraph) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,64}", run_id):
        return "The address asks for something that is not the name of a run to be shown beside this one."
    name = markdown_text(run_id)
    if run_id == run.id:
        return f"Run “{name}” cannot be shown beside itself."
    other = next((found for found in (*list_runs(), *recorded_runs()) if found.id == run_id), None)
    if other is None:
        return f"There is no run “{name}” on this machine to show beside this one."
    if other.meta.hash != kg.hash:
        data = markdown_text(shell.dataset_name(other.meta.dataset))
        return f"Run “{name}” was trained on other data ({data}), so it knows nothing of this triplet."
    return f"Run “{name}” kept no weights, so its negatives cannot be shown beside this one’s."
