"""Which runs stand side by side on the screen Compare, and how they are ranked."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from dans_app.server import inspecting
from dans_app.server.inspecting import Which
from dans_app.shared import run_state, shell, theme, url_values
from dans_app.shared.address import Address
from dans_app.shared.theme import LOOKS
from dans_app.shared.url_values import Option
from dans_app.shared.words import markdown_text
from dans_data.errors import InputError
from dans_lab.names import METRICS
from dans_lab.runs.run import Run, find_twin, recorded_runs, runs_dir, scan_runs

Runs = dict[str, Run]
"""Runs by their letters, A first."""

MOST = len(LOOKS)
"""Runs side by side at most: so many can be told apart."""

LARGE = 50_000_000
"""So many scores take more than a moment, and are made only when asked for."""

SPLITS = {"valid": "Valid", "test": "Test"}


@dataclass(frozen=True)
class RankingOptions:
    """How the runs are ranked and compared."""

    split: str
    metric: str
    weights: Which


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


def same_data(first: Run, other: Run) -> bool:
    """Whether both were trained on the same triplets, so that their ranks can be compared one by one."""
    return first.meta.hash == other.meta.hash
