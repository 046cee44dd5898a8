"""Which runs stand side by side on the screen Compare, how each is drawn, and in what they differ."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from dans_app.server import inspecting
from dans_app.server.inspecting import Which
from dans_app.shared import run_state, settings, shell, theme, url_values
from dans_app.shared.address import Address
from dans_app.shared.theme import LOOKS
from dans_app.shared.url_values import Option
from dans_app.shared.words import markdown_text
from dans_core.config import Config, matters
from dans_data.errors import InputError
from dans_data.words import listed, plural
from dans_lab.names import METRICS
from dans_lab.runs.run import Run, find_twin, recorded_runs, runs_dir, scan_runs

Runs = dict[str, Run]
"""Runs by their letters, A first."""

MOST = len(LOOKS)
"""Runs side by side at most: so many can be told apart."""

LARGE = 50_000_000
"""So many scores take more than a moment, and are made only when asked for."""

_WORDS = {"decoder": theme.DECODERS, "sampler": theme.SAMPLERS}

SPLITS = {"valid": "Valid", "test": "Test"}


@dataclass(frozen=True)
class RankingOptions:
    """How the runs are ranked and compared."""

    split: str
    metric: str
    weights: Which


# --- the choice ------------------------------------------------------------------------------------------------


def choose(place: Address) -> tuple[Runs, RankingOptions, Address]:
    """The runs and options of the address, with the list to choose other runs; there may be fewer than two.

    A run that cannot be read gets a sentence and no letter. The last is the part of the address in which letters mean
    something: those of these runs.
    """
    listing = scan_runs(runs_dir())
    known = {run.id: run for run in [*listing.runs, *recorded_runs()]}
    if not known:
        return {}, options(place, []), place
    ids, problem = asked(place.raw("runs"), known, listing.unreadable, default(looked_at(known), known))
    of_these = Address("compare", ",".join(ids), "letters")
    if problem:
        place.complain(problem)
    place.keep("runs", ",".join(ids))
    chosen = options(place, [known[run_id] for run_id in ids])
    if place.message:
        st.warning(place.message, icon=":material/link_off:")
    listed = shell.without_studies(known, ids)
    _widget(place, listed, ids)
    shell.tell_unlisted(len(known) - len(listed))
    runs = {look.name: run for look, run in zip(LOOKS, _readable([known[i] for i in ids]), strict=False)}
    if runs:
        st.session_state.setdefault(shell.PICKED, runs["A"].id)
    return runs, chosen, of_these


def _readable(runs: list[Run]) -> list[Run]:
    """Those whose events can be read, with a sentence on each other."""
    try:
        # All at once, since a session keeps the histories of the runs that were asked for together.
        run_state.histories(*runs)
        return runs
    except InputError:
        sound = []
        for run in runs:
            with shell.told(f"Run {run.id} is left out"):
                run_state.histories(run)
                sound.append(run)
        return sound


def looked_at(known: Mapping[str, Run]) -> Run:
    """The run that this person looked at last, else the recorded one with a GAN, else the newest."""
    recorded = [run for run in known.values() if run.recorded and run.config.fakes]
    last = st.session_state.get(shell.PICKED) or st.query_params.get("run") or ""
    return known.get(last) or next(iter([*recorded, *known.values()]))


def options(place: Address, runs: Sequence[Run]) -> RankingOptions:
    """What the address says of how to rank and compare."""

    def choice(name: str, known: Sequence[Option]) -> Option:
        found = place.said(url_values.one_of(place.raw(name), name, known))
        place.keep(name, None if found == known[0] else found)
        return found

    split, metric = choice("split", list(SPLITS)), choice("metric", list(METRICS))
    weights, kept = choice("weights", list(theme.WEIGHTS)), weights_of(runs)
    return RankingOptions(split, metric, weights if weights in kept else kept[0])


def weights_of(runs: Iterable[Run]) -> list[Which]:
    """Those that any of the runs kept."""
    kept = {name for run in runs for name in inspecting.checkpoints(run)}
    return [name for name in theme.WEIGHTS if name in kept] or ["best"]


def _widget(place: Address, known: Mapping[str, Run], ids: list[str]) -> None:
    lines = shell.labels(known)
    # A tick sends the words of a list that has just gone once more: with other words it is another list.
    key = f"compare_runs_{zlib.crc32(repr(lines).encode()):x}"
    st.session_state[key] = ids

    def changed() -> None:
        place.choose("runs", ",".join(run_id for run_id in st.session_state[key] if run_id in known))

    st.multiselect(
        "Runs",
        list(lines),
        format_func=lines.__getitem__,
        key=key,
        on_change=changed,
        max_selections=MOST,
        select_all=False,
        placeholder="Choose two or more runs",
        help=f"Two to {MOST}. The first is A, and the others are compared with it. Recorded runs come with the app; "
        "your own are kept in the runs folder, newest first.",
    )


def asked(
    text: str | None, runs: Mapping[str, Run], unreadable: Mapping[str, str], default: Sequence[str]
) -> tuple[list[str], str | None]:
    """The ids of an address, separated by commas, and a sentence where it asks for what cannot be shown.

    Without any text the default; an empty text asks for no run.
    `unreadable` are folders that hold no run that can be read, and why.
    """
    if text is None:
        return list(default), None
    ids = list(dict.fromkeys(part for part in text[:1000].split(",") if part))
    if not ids:
        return [], None
    known = [run_id for run_id in ids if run_id in runs]
    problem = None
    if unknown := [run_id for run_id in ids if run_id not in runs]:
        problem = _unknown(unknown[0], unreadable) + (
            f" (and {len(unknown) - 1} more)" if unknown[1:] else ""
        )
        problem += "; the rest is shown." if known else "; others are shown instead."
    elif len(known) > MOST:
        problem = f"The address asks for {len(known)} runs; the first {MOST} are shown."
    return known[:MOST] or list(default), problem


def _unknown(run_id: str, unreadable: Mapping[str, str]) -> str:
    if run_id in unreadable:
        return f"Run “{markdown_text(run_id)}” cannot be read ({markdown_text(unreadable[run_id], 200)})"
    if re.fullmatch(r"[a-z0-9-]{1,64}", run_id):
        return f"There is no run “{run_id}” on this machine"
    return "The address asks for something that is not the name of a run"


def default(first: Run, runs: Mapping[str, Run]) -> list[str]:
    """A run and its twin; without a twin, the next of the runs on the same data; without any, the run alone."""
    others = (run for run in runs.values() if run.id != first.id and same_data(first, run))
    other = find_twin(first, list(runs.values())) or next(others, None)
    return [first.id] if other is None else [first.id, other.id]


def legend(runs: Runs) -> list[str]:
    """A line in Markdown for each run: its letter, what it is, its id."""
    return [
        f"**{letter}** {markdown_text(shell.describe(run), 200)} · `{run.id}`" for letter, run in runs.items()
    ]


def same_data(first: Run, other: Run) -> bool:
    """Whether both were trained on the same triplets, so that their ranks can be compared one by one."""
    return first.meta.hash == other.meta.hash


def about_curves(runs: Runs) -> str:
    """How to read the shared axes."""
    without = [letter for letter, run in runs.items() if not run.config.fakes]
    text = "Colour and dash tell the run here, not the part; a ring marks its best epoch."
    if not without or len(without) == len(runs):
        return text
    verb = plural(len(without), "has", "have")
    return f"{text} {listed(without)} {verb} no G_E, G_R and D, and so no line in their panels."


def about_weights(runs: Runs, which: str) -> str:
    """Which weights were ranked, and how."""
    text = "the last checkpoint"
    if which == "best":
        epochs = (f"{letter} {run.stored_status.best_epoch}" for letter, run in runs.items())
        text = f"the best epoch on valid ({', '.join(epochs)})"
    half = " Recorded runs keep their weights in half precision, which may change a last digit."
    return (
        f"Weights of {text}. Filtered ranking; ties count by the mean of their best and worst rank. Floor: ranking by "
        "how often an entity fills the slot in train, with nothing learned."
        f"{half if any(run.recorded for run in runs.values()) else ''}"
    )


# --- settings --------------------------------------------------------------------------------------------------


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


def differences(table: pd.DataFrame, letters: Sequence[str]) -> list[str]:
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
    used = {values[run.id] for run in runs if matters(name, run.config.sampler)}
    if len(used) > 1:
        return [values[run.id] if matters(name, run.config.sampler) else "–" for run in runs]
    return [used.pop() if used else values[runs[0].id]] * len(runs)


def _in_words(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return _WORDS.get(name, {}).get(value, value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
