"""In what runs that stand side by side differ: settings, data, versions; and in what they are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dans_app.shared import settings, shell, theme
from dans_app.shared.words import markdown_text
from dans_core.config import Config, matters
from dans_data.words import listed
from dans_lab.runs.run import Run

_WORDS = {"decoder": theme.DECODERS, "sampler": theme.SAMPLERS}


def differing(runs: Mapping[str, Run]) -> pd.DataFrame:
    """A row for each setting in which the runs are not all alike, data set and versions too; a column a letter."""
    rows = [fact for fact in _facts(list(runs.values())) if len(set(fact[1])) > 1]
    units = any(unit for _, _, unit, _ in rows)
    return pd.DataFrame(
        [
            {"Setting": name, **dict(zip(runs, values, strict=True))}
            | ({"Unit": unit} if units else {})
            | {"What it does": why}
            for name, values, unit, why in rows
        ]
    )


def alike(runs: Mapping[str, Run]) -> pd.DataFrame:
    """The rows that `differing` leaves out, with the value that all runs share."""
    return pd.DataFrame(
        [
            {"Setting": name, "All": values[0], "Unit": unit, "What it does": why}
            for name, values, unit, why in _facts(list(runs.values()))
            if len(set(values)) == 1
        ]
    )


def in_words(table: pd.DataFrame, letters: Sequence[str]) -> list[str]:
    """A line in Markdown for each run after the first: in what it differs from that, and what follows."""
    if table.empty:
        return ["Data, settings, seed and versions are all the same, so the numbers should be, too."]
    first, lines, mixed = letters[0], [], False
    for letter in letters[1:]:
        names = table.loc[table[first] != table[letter], "Setting"].tolist()
        mixed = mixed or len(names) > 1
        if not names:
            lines.append(f"{letter} differs from {first} in nothing, so the numbers should be the same.")
        elif names == ["Seed"]:
            lines.append(f"{letter} differs from {first} in the **Seed** alone: what separates them is luck.")
        else:
            more = [f"{len(names) - 4} more"] if len(names) > 4 else []
            shown = listed([f"**{markdown_text(name)}**" for name in names[:4]] + more)
            alone = " alone" if len(names) == 1 else ""
            lines.append(f"{letter} differs from {first} in {shown}{alone}.")
    if mixed:
        lines.append("Where more than one thing differs, no difference below can be put down to one of them.")
    return lines


def seed_groups(runs: Mapping[str, Run]) -> list[list[str]]:
    """Letters of runs that differ in nothing but the seed, where there are at least two."""
    groups: dict[str, list[str]] = {}
    for letter, run in runs.items():
        settings = repr((run.meta.hash, run.config.model_dump(exclude={"seed"})))
        groups.setdefault(settings, []).append(letter)
    return [group for group in groups.values() if len(group) > 1]


def _facts(runs: Sequence[Run]) -> list[tuple[str, list[str], str, str]]:
    """All that is set of each run: name, the values in words, unit, why it matters."""
    names = [shell.dataset_name(run.meta.dataset) for run in runs]
    hashes = [run.meta.hash for run in runs]
    if len(set(hashes)) > len(set(names)):
        # The same name for other triplets.
        names = [f"{name} ({digest[:8]})" for name, digest in zip(names, hashes, strict=True)]
    facts = [("Data set", names, "", "The triplets it learns and is ranked on.")]
    for name, field in Config.model_fields.items():
        about = field.description or ""
        facts.append((field.title or name, _values(name, runs), settings.unit_of(name), about))
    why = "Where it was trained. A GPU adds in another order, and from run to run, so last digits differ."
    facts.append(("Device", [run.meta.device for run in runs], "", why))
    why = "How many processes trained it together, each on a share of the triplets with negatives of its own."
    facts.append(("Processes", [run.meta.processes for run in runs], "", why))
    why = "How exact its products are; tf32 rounds their factors to 10 binary digits."
    facts.append(("Precision", [run.meta.precision for run in runs], "", why))
    for part in dict.fromkeys(part for run in runs for part in run.meta.versions):
        values = [run.meta.versions.get(part, "–") for run in runs]
        why = "Another version may sum in another order, and so give other numbers."
        facts.append((f"Version of {part}", values, "", why))
    return facts


def _values(name: str, runs: Sequence[Run]) -> list[str]:
    """What each run has of a setting; one whose sampler does not use it does not differ in it."""
    values = {run.id: _in_words(name, getattr(run.config, name)) for run in runs}
    using = {run.id for run in runs if matters(name, run.config.sampler, run.config.reading)}
    used = {values[name] for name in using}
    if len(used) > 1:
        return [values[run.id] if run.id in using else "–" for run in runs]
    return [used.pop() if used else values[runs[0].id]] * len(runs)


def _in_words(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return _WORDS.get(name, {}).get(value, value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
