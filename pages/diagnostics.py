"""Screen Diagnostics: what is wrong with the negatives of a run, and every measurement of them, epoch by epoch."""

import zlib
from dataclasses import dataclass, field

import streamlit as st

from dans_app.diagnostics import figures, panels, words
from dans_app.diagnostics.figures import EpochAxis
from dans_app.diagnostics.panels import Panel
from dans_app.shared import classroom, dialogs, exports, run_state, shell, url_values
from dans_app.shared.address import Address
from dans_app.shared.run_history import RunHistory
from dans_app.shared.words import capital, markdown_text
from dans_core.events import Diagnostics
from dans_data.words import count
from dans_lab.runs.run import Run

TICK = 5.0
SCORES = {"score": "Score", "against": "Against the positive"}
SHOWN_TROUBLES = 3
NEWEST = 0
"""On the slider: whatever the newest diagnosis is. No diagnosis is of epoch 0."""


@dataclass
class Chosen:
    """What the person looks at: an epoch (`NEWEST` follows the run) and a kind of scores.

    The address is read when the page is drawn, and only written by the ticks: what a browser sends with a tick may be
    an older address. `offered` are the epochs on the slider; while one is chosen they stay, though the run goes on, so
    that the slider stands still under one's fingers.
    """

    epoch: int
    scores: str
    offered: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class DiagnosisView:
    """What the charts draw: some diagnoses of a run, the one that is looked at, and the epochs below."""

    run: Run
    drawn: list[Diagnostics]
    found: Diagnostics
    axis: EpochAxis

    @property
    def epochs(self) -> list[int]:
        return [found.epoch for found in self.drawn]


def show() -> None:
    run = shell.begin(
        "Diagnostics",
        "Are the negatives hard, diverse and really false? Measured as the run trains.",
        "There is no run yet. Start one on the Train page; its negatives are measured as it trains.",
        ":material/monitor_heart:",
    )
    if run is None:
        return
    with shell.told("This run cannot be diagnosed"):
        place, chosen = chosen_view(run)
        going = run_state.under_way(run.status)

        @st.fragment(run_every=TICK if going else None)
        def ticking() -> None:
            with shell.told("This run cannot be diagnosed"):
                if run_state.under_way(run.status) != going:
                    dialogs.redraw()
                diagnosed(run, place, chosen, going)

        ticking()


def chosen_view(run: Run) -> tuple[Address, Chosen]:
    place = Address("diagnostics", run.id)
    known = {found.epoch for found in run_state.history(run).diagnoses}
    epoch, problem = url_values.epoch(place.raw("epoch"), known)
    if problem:
        asked = markdown_text(place.raw("epoch") or "", 20)
        place.complain(f"This run was not diagnosed at epoch “{asked}”; the newest is shown instead.")
    scores, problem = url_values.one_of(place.raw("scores"), "scores", list(SCORES))
    if problem:
        place.complain(problem)
    place.keep("epoch", None if epoch is None else str(epoch))
    place.keep("scores", None if scores == "score" else scores)
    return place, Chosen(epoch or NEWEST, scores)


def diagnosed(run: Run, place: Address, chosen: Chosen, going: bool) -> None:
    """Everything below the choice of the run."""
    history = run_state.history(run)
    if place.message:
        st.warning(place.message, icon=":material/link_off:")
    if not history.diagnoses:
        nothing_yet(run, going)
        return
    by_epoch = {found.epoch: found for found in history.diagnoses}
    found = by_epoch.get(chosen.epoch) or history.diagnoses[-1]
    marked = chosen.epoch if chosen.epoch in by_epoch else None
    axis = EpochAxis(
        last=run.config.epochs if going else history.diagnoses[-1].epoch,
        warm_up=run.config.warmup_epochs if run.config.waits else 0,
        marked=marked,
    )
    view = DiagnosisView(run, panels.thinned(history.diagnoses, marked), found, axis)
    epoch_choice(place, chosen, view.epochs, going)
    if not classroom.hides("health"):
        verdict(run, found)
        if run.config.fakes or history.warnings:
            health(view, history)
    hardness(view, place, chosen)
    measured(view)
    every_figure(view, history)


def nothing_yet(run: Run, going: bool) -> None:
    if not going:
        st.info(
            "This run ended before its first diagnosis, so there is nothing to show. Choose another run above.",
            icon=":material/monitor_heart:",
        )
        return
    first = min(run.config.diagnose_every, run.config.epochs)
    st.info(
        f"No diagnosis yet: the first comes after {count(first, 'epoch')}. This page looks for it by itself.",
        icon=":material/hourglass_top:",
    )


# --- the epoch and what it comes to -----------------------------------------------------------------------------


def epoch_choice(place: Address, chosen: Chosen, epochs: list[int], going: bool) -> None:
    if chosen.epoch == NEWEST or chosen.epoch not in chosen.offered:
        chosen.offered = [*(epochs if going else epochs[:-1]), NEWEST]
    if chosen.epoch not in chosen.offered:
        chosen.epoch = NEWEST
    if len(chosen.offered) == 1:
        return
    newest = "newest" if going else f"{epochs[-1]:,}"
    # A browser takes a slider whose epochs have changed for one that was moved: with other epochs it is another one.
    key = f"diagnostics_epoch_{zlib.crc32(repr(chosen.offered).encode()):x}"

    def picked() -> None:
        chosen.epoch = st.session_state[key]
        place.choose("epoch", str(chosen.epoch) if chosen.epoch else None)

    st.session_state[key] = chosen.epoch
    st.select_slider(
        "Epoch" + (f" · following the newest, {epochs[-1]:,}" if going and chosen.epoch == NEWEST else ""),
        chosen.offered,
        format_func=lambda epoch: f"{epoch:,}" if epoch else newest,
        key=key,
        on_change=picked,
        help="Every epoch at which the negatives were measured. The charts mark it, and the sentences and the table "
        "are about it. At its right end the slider follows a run as it trains.",
    )


def verdict(run: Run, found: Diagnostics) -> None:
    lines = [
        *words.before(found, run.config),
        *words.verdicts(found, run.config.sampler),
        *words.left_out(run.config),
    ]
    with st.container(border=True):
        st.markdown(f"**At epoch {found.epoch:,}**")
        st.markdown("\n\n".join(lines))


# --- when something was wrong -----------------------------------------------------------------------------------


def health(view: DiagnosisView, history: RunHistory) -> None:
    watched = words.watched(view.run.config)
    st.header(
        "When something was wrong",
        anchor=False,
        help="At each diagnosis after warm-up these troubles are looked for; those of D and of the losses over the "
        "last ten rounds of the game. A bar begins once a trouble lasted for up to three diagnoses, and ends where "
        "three in a row did not find it.",
    )
    spans = words.spans(history.warnings)
    exports.chart(
        figures.timeline(spans, history.diagnoses[-1].epoch, view.axis, watched),
        key="diagnostics_timeline",
        alt=figures.timeline_alt(spans),
        name=f"Troubles of {view.run.id}",
    )
    groups = words.troubles(spans)
    if not groups:
        st.caption("No trouble was found so far.")
    for group in groups[:SHOWN_TROUBLES]:
        trouble(group)
    if older := groups[SHOWN_TROUBLES:]:
        with st.expander(f"{count(len(older), 'more trouble')}", icon=":material/history:"):
            for group in older:
                trouble(group)


def trouble(group: list[words.Span]) -> None:
    newest = group[0].warning
    going = group[0].end is None
    when = "; ".join(span.words for span in group[:4]) + ("; and before" if len(group) > 4 else "")
    body = (
        f"**{markdown_text(words.title(newest))}**, {when}. At epoch {newest.epoch:,}:  \n"
        f"{markdown_text(newest.message, 400)}  \n"
        f":small[What to try: {markdown_text(newest.advice, 400)}]"
    )
    if going:
        st.warning(body, icon=":material/monitor_heart:")
    else:
        st.info(body, icon=":material/check:")


# --- the measurements -------------------------------------------------------------------------------------------


def hardness(view: DiagnosisView, place: Address, chosen: Chosen) -> None:
    def picked() -> None:
        chosen.scores = st.session_state["diagnostics_scores"]
        place.choose("scores", None if chosen.scores == "score" else chosen.scores)

    st.header(
        "How hard are they?",
        anchor=False,
        help="What the decoder believes of each kind of triplet: line, the median; dark band, the middle half; light "
        "band, all but the lowest and highest 5 %. The higher a negative scores, the harder it is; above its positive, "
        "the model is wrong about it. Click a name to hide it.",
    )
    st.session_state["diagnostics_scores"] = chosen.scores
    st.segmented_control(
        "Scores",
        list(SCORES),
        format_func=SCORES.__getitem__,
        key="diagnostics_scores",
        required=True,
        on_change=picked,
        label_visibility="collapsed",
    )
    against = chosen.scores == "against"
    bands = figures.bands(view.drawn, against, view.run.config.sampler)
    exports.chart(
        figures.hardness(bands, view.epochs, view.axis, against),
        key="diagnostics_hardness",
        alt=figures.hardness_alt(bands, view.epochs, view.found.epoch, against),
        name=f"{'Scores against the positive' if against else 'Scores'} in {view.run.id}",
    )
    if all(band.whole for band in bands):
        st.caption(
            "Lines: the median score. Darker bands: the middle half of the scores; lighter ones: 90 %."
        )
    else:
        st.caption(
            "This run is of an earlier version, which kept mean scores only and measured less of what is below."
        )


def measured(view: DiagnosisView) -> None:
    found = panels.panels(view.drawn, view.run.config.sampler)
    row(view, found, "random", "positive", "known")
    if "kl" in found:
        st.header("What does the generator propose?", anchor=False)
        st.markdown(words.PROPOSALS)
        row(view, found, "proposed", "kl")
        row(view, found, "beats", "facts", "adds")
    if "rank" not in found:
        return
    st.header("Are they diverse?", anchor=False)
    row(view, found, "rank", "coverage")
    row(view, found, "copies", "scale")
    if "heads" in found:
        st.header("Do they follow head and relation?", anchor=False)
        st.markdown("  \n".join(words.adaptivity(view.found)))
        row(view, found, "heads", "relations")


def row(view: DiagnosisView, found: dict[str, Panel], *names: str) -> None:
    """Small charts side by side, one below the other on a phone; those that the run has nothing for are left out."""
    there = [name for name in names if name in found]
    for column, name in zip(st.columns(len(there)), there, strict=True):
        panel = found[name]
        with column:
            st.markdown(f"**{panel.title}**", help=panel.about)
            exports.chart(
                figures.curves(panel, view.epochs, view.axis),
                key=f"diagnostics_{name}",
                alt=figures.curves_alt(panel, view.epochs, view.found.epoch),
                name=f"{panel.title}, {view.run.id}",
            )


def every_figure(view: DiagnosisView, history: RunHistory) -> None:
    epoch = view.found.epoch
    rows = words.table(view.found, view.run.config.sampler)
    st.header(f"All figures at epoch {epoch:,}", anchor=False)
    st.dataframe(
        words.shown(rows),
        hide_index=True,
        height="content",
        column_config={
            "figure": st.column_config.TextColumn(
                "Figure",
                pinned=True,
                width=230,
                help="So many per cent of the scores lie below “score, 5 %”; “against the positive” is the score minus "
                "that of the query’s true answer.",
            ),
            **{
                name: st.column_config.TextColumn(capital(name), alignment="right")
                for name in rows.columns[1:]
            },
        },
        alt=f"All figures of the negatives at epoch {epoch:,}, one a row, by source.",
    )
    exports.table(rows, f"Diagnosis of {view.run.id} at epoch {epoch}")
    with st.expander(
        "All figures at all epochs",
        icon=":material/table_rows:",
        key="diagnostics_history",
        on_change="rerun",
    ) as opened:
        if opened.open:
            rows = words.history(history.diagnoses, view.run.config.sampler)
            st.dataframe(
                rows, hide_index=True, height=420, alt="All figures, one row for each epoch and source."
            )
            exports.table(rows, f"Diagnoses of {view.run.id}")


shell.guard()
show()
