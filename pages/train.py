"""Screen Train: start a run, watch it learn, compare it with its twin."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import streamlit as st

import dans_data
from dans_app.server import graph, jobs, visitors
from dans_app.shared import (
    classroom,
    cost_words,
    curves,
    dialogs,
    run_state,
    settings,
    shell,
    study_link,
    theme,
)
from dans_app.shared.run_history import RunHistory
from dans_app.shared.words import markdown_text, sentence
from dans_app.train import failing, words
from dans_core.config import Config
from dans_data.errors import InputError
from dans_data.places import folders
from dans_data.words import bytes_in_words, count, epoch_in_words, seconds_in_words
from dans_lab import going_on
from dans_lab.budget.experience import Basis
from dans_lab.runs.records import Status
from dans_lab.runs.run import Run, find_twin, list_runs, recorded_runs, twin_config
from dans_lab.study.draft import Draft

ButtonKind = Literal["primary", "secondary", "tertiary"]
Color = Literal["green", "gray", "orange", "blue", "red"]

TWIN = "dans_show_twin"
TICK = 0.5
FAST_TICK = 0.1
UNSHOWN = "This run cannot be shown"

OWN_GRAPH = (
    "A file of triplets, one a line, as a spreadsheet saves them. Data reads it and says what is in it."
)


def say(error: InputError) -> None:
    """Keep a person's mistake for the next run of the page, where it is shown once."""
    st.session_state["train_problem"] = str(error)


def start() -> None:
    """Start what the form says at the click, which may be newer than what the page was drawn with."""
    try:
        shell.select(jobs.pool().start(settings.config(), st.session_state[settings.DATASET]).id)
    except InputError as error:
        say(error)


def start_twin(run: Run) -> None:
    try:
        jobs.pool().start(twin_config(run.config), run.meta.source)
        st.session_state[TWIN] = True
    except InputError as error:
        say(error)


def compare(run: Run, twin: Run) -> None:
    shell.leave("Compare", runs=f"{run.id},{twin.id}")


def five_seeds(run: Run) -> None:
    """The form of a study of this run and its twin."""
    try:
        configs = [run.config, twin_config(run.config)]
        train = len(graph.load(run.meta.source).array("train"))
        shell.leave("Studies", **study_link.query(Draft.of_runs(configs, run.meta.source, train)))
    except InputError as error:
        say(error)


def new_facts(run: Run) -> None:
    shell.leave("Predict", run=run.id, ask="new")


def resume(run: Run) -> None:
    try:
        jobs.ask(run) if run.is_live else jobs.pool().resume(run)
    except InputError as error:
        say(error)


def train_on(run: Run, config: Config) -> None:
    try:
        jobs.pool().train_on(run, config)
    except InputError as error:
        say(error)


def ask(run: Run, run_until: int | None = None, stop: bool = False) -> None:
    try:
        jobs.ask(run, run_until, stop)
    except InputError as error:
        say(error)


def act(
    label: str,
    icon: str,
    action: Callable[..., None],
    *args: Run,
    kind: ButtonKind = "secondary",
    about: str | None = None,
) -> None:
    """A button inside the ticking part whose action concerns the whole page."""
    if st.button(label, icon=icon, type=kind, help=about):
        action(*args)
        st.rerun()


def hides_form() -> bool:
    """Whether whoever looks starts no runs here."""
    return classroom.hides("settings") or not visitors.visitor().is_at_least("student")


def controls() -> None:
    """The side bar: settings of a new run, what it will take, and the button that starts it."""
    if hides_form():
        return
    known = [info for info in dans_data.available() if info.here and not info.problem]
    names = [info.name for info in known]
    if st.session_state.get(shell.ARRIVED):
        settings.use_address(names)
    try:
        failing.use_link()
    except InputError as error:
        say(error)
    settings.check_address(names)
    settings.follow(shell.looked_at, names)
    with st.sidebar:
        st.header("New run", anchor=False)
        dataset = settings.dataset_widget(names)
        about = next(info for info in known if info.name == dataset)
        sized = " Settings marked :material/straighten: are chosen for a graph of this size."
        st.caption(
            f"{about.entities:,} entities, {about.relations:,} relations, {about.train:,} training triplets."
            f"{sized if settings.recipe(dataset=dataset) else ''}"
        )
        if st.button("Your own graph", icon=":material/upload_file:", type="tertiary", help=OWN_GRAPH):
            shell.leave("Data", own="first")
        settings.preset_buttons()
        failing.choice(start)
        settings.widget("decoder")
        settings.widget("sampler")
        left, right = st.columns(2)
        with left:
            settings.widget("epochs")
        with right:
            settings.widget("seed")
        button = st.container()
        with st.expander("More settings", icon=":material/tune:"):
            settings.more_settings()
        with button:
            try:
                config = settings.config()
                cost = jobs.estimate(config, dataset)
                warning = jobs.check_memory(config, dataset)
                jobs.check_limits(config, dataset)
            except InputError as error:
                st.error(markdown_text(str(error), 300))
                st.button("Start training", type="primary", width="stretch", disabled=True)
            else:
                st.button(
                    "Start training",
                    type="primary",
                    icon=":material/play_arrow:",
                    width="stretch",
                    key="start_training",
                    on_click=start,
                )
                tick = cost_words.TICK if cost.basis in cost_words.PROVISIONAL else None
                st.fragment(run_every=tick)(tell_cost)(config, dataset, cost.basis)
                if warning:
                    st.warning(sentence(warning), icon=":material/memory:")
            if different := settings.changes():
                st.caption(f":primary[●] Changed: {markdown_text(different, 400)}")
            if unused := settings.changes(in_use=False):
                st.caption(f"Set, but not used by {settings.sampler_title()}: {markdown_text(unused, 400)}")
            if different or unused:
                st.button(
                    "Undo to defaults",
                    type="tertiary",
                    icon=":material/undo:",
                    on_click=settings.use_preset,
                    args=("default",),
                )


def tell_cost(config: Config, dataset: str, basis: Basis) -> None:
    """What a run will take; what is provisional is looked at again, as the waiting worker times this machine."""
    cost = jobs.estimate(config, dataset)
    if cost.basis != basis:
        dialogs.redraw()
    st.caption(
        f"Takes {seconds_in_words(cost.seconds)} ({epoch_in_words(cost.epoch_seconds)} an epoch), "
        f"{bytes_in_words(cost.memory)} of memory and {bytes_in_words(cost.bytes)} on disk"
        f"{cost_words.proviso(cost.basis, cost.free_seconds)}.",
        help=f"One core, one run. {cost_words.BASIS[cost.basis]}",
    )


def heading(run: Run, status: Status, wish: str, troubles: int) -> None:
    """Which run this is, in a title and badges, and the way on from one that is over."""
    config = run.config
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.header(
            f"{markdown_text(shell.dataset_name(run.meta.dataset))} · {theme.DECODERS[config.decoder]} · "
            f"{theme.SAMPLERS[config.sampler]}",
            anchor=False,
            width="content",
        )
        if run.recorded:
            st.badge("Recorded run", icon=":material/inventory_2:", color="gray")
        looks: dict[str, tuple[Color, str]] = {
            "running": ("green", ":material/play_arrow:"),
            "queued": ("gray", ":material/hourglass_top:"),
            "paused": ("orange", ":material/pause:"),
            "finished": ("blue", ":material/check:"),
            "failed": ("red", ":material/error:"),
        }
        color, icon = looks.get(status.state, ("gray", ":material/stop:"))
        if wish:
            color, icon = "gray", ":material/hourglass_top:"
        if status.silent is not None:
            wish, color, icon = "Does not answer", "red", ":material/hourglass_disabled:"
        st.badge(wish or theme.STATES[status.state], icon=icon, color=color)
        st.badge(f"seed {config.seed}", color="gray")
        place, precision = run.meta.device, run.meta.precision
        if (place, precision) != ("cpu", "float32"):
            exact = "" if precision == "float32" else f", {precision}"
            st.badge(
                f"{markdown_text(place)}{markdown_text(exact)}",
                icon=":material/memory:",
                color="gray",
                help="Where it was trained, and how exact its products are where that is not float32.",
            )
        if troubles and not classroom.hides("health"):
            st.badge(
                count(troubles, "warning"),
                icon=":material/monitor_heart:",
                color="orange",
                help="See the health of the run, below.",
            )
        answers(run, status)


def buttons(run: Run, status: Status, wish: str) -> None:
    """Pause, resume, stop: those that mean something now."""
    if run.recorded or status.state in ("finished", "failed") or classroom.hides("controls"):
        return
    if not visitors.visitor().owns(run.meta.owner):
        return
    with st.container(horizontal=True, gap="small"):
        # By callbacks, so that what was asked is done before the run is looked at and shown.
        if status.state in ("running", "queued"):
            if jobs.pool().place(run) is None:
                st.button("Pause", icon=":material/pause:", disabled=bool(wish), on_click=ask, args=(run, 0))
        elif status.live:
            st.button(
                "Resume",
                icon=":material/play_arrow:",
                type="primary",
                disabled=bool(wish),
                on_click=ask,
                args=(run,),
            )
        else:
            act("Resume", ":material/play_arrow:", resume, run, kind="primary")
        if run_state.under_way(status):
            st.button(
                "Stop",
                icon=":material/stop:",
                disabled=wish == "Stopping",
                on_click=ask,
                args=(run, None, True),
            )


def further(run: Run, status: Status) -> None:
    """More epochs for a run that is over: how many, what they take, and the button."""
    sizes = graph.sizes(run.meta.source)
    mine = visitors.visitor().owns(run.meta.owner)
    can = mine and status.state == "finished" and not run.recorded and run.meta.study is None
    if not can or sizes is None or not (run.path / "last.pt").is_file() or classroom.hides("controls"):
        return
    left, right = st.columns([1, 3], vertical_alignment="bottom")
    with left:
        more = st.number_input("Further epochs", 1, 100_000, min(status.epoch, 100), key=f"further_{run.id}")
    try:
        # A run that is out of patience would end at once.
        config = going_on.config_of(run, status.epoch + more, 0 if going_on.ended_early(status) else None)
    except InputError as error:
        st.error(sentence(error), icon=":material/error:")
        return
    with right:
        st.button(
            "Train on",
            icon=":material/double_arrow:",
            on_click=train_on,
            args=(run, config),
            help=markdown_text(
                going_on.in_words(config, going_on.differences(run, config, sizes.train)), 800
            ),
        )
    seconds = more * status.seconds / max(1, status.epoch)
    patience = "; it no longer ends early" if config.patience != run.config.patience else ""
    st.caption(
        f"Takes {seconds_in_words(seconds)}, up to epoch {config.epochs:,} in all{patience}. "
        "Goes on exactly where it ended."
    )


def answers(run: Run, status: Status) -> None:
    """The way from a run that is over to what it predicts."""
    if status.state != "finished" or classroom.hides("menu") or not (run.path / "best.pt").is_file():
        return
    act(
        "See its new facts",
        ":material/lightbulb:",
        new_facts,
        run,
        about="Predict: triplets that no split holds and this run is surest of, and what they are worth.",
    )


def health(run: Run, history: RunHistory) -> None:
    """What is wrong with the adversarial game now, and what was."""
    if classroom.hides("health"):
        return
    if not history.warnings and (not run.config.fakes or history.diagnostics is None):
        return
    st.header(
        "Health of the run",
        anchor=False,
        help="Measured as the run goes on: do the fakes differ, are they harder than random negatives, do they hit "
        "true facts, do the players keep each other in balance, and does the model rank better than none?",
    )
    if not history.active:
        st.caption(words.nothing_wrong(run.config, history))
    for warning in history.active.values():
        st.warning(
            f"{markdown_text(warning.message, 400)}  \n:small[{markdown_text(warning.advice, 400)}]",
            icon=":material/monitor_heart:",
        )
    if history.warnings:
        with st.expander(f"Every warning of the run ({len(history.warnings)})", icon=":material/history:"):
            for warning in history.warnings:
                word = "" if warning.active else "*over:* "
                st.markdown(f"**Epoch {warning.epoch:,}** · {word}{markdown_text(warning.message, 400)}")


def twin_box(run: Run, twin: Run | None, runs: list[Run]) -> None:
    """The run with uniform negatives, or with DANS where those are its own: train it, or show it on the same axes."""
    with st.container(border=True):
        try:
            config = twin_config(run.config)
        except InputError as error:
            st.markdown(
                f"**Does the sampler matter?** A twin with DANS cannot be trained: {markdown_text(str(error), 300)}."
            )
            return
        st.markdown(
            f"**Does the sampler matter?** The twin is this run with the sampler *{theme.SAMPLERS[config.sampler]}*; "
            "data, seed, loss and settings are the same."
        )
        try:
            cost = (
                f"Takes {jobs.estimate(config, run.meta.source, runs)} on disk."
                if twin is None
                else words.five_seeds(run.config, config, run.meta.source, runs)
            )
            here = True
        except InputError as error:
            cost, here = f"No twin can be trained here: {markdown_text(str(error), 300)}.", False
        if twin is None:
            with st.container(horizontal=True, vertical_alignment="center"):
                if here:
                    act("Train the twin", ":material/compare_arrows:", start_twin, run)
                st.caption(cost)
            return
        st.toggle("Show the twin in the curves", key=TWIN)
        floor = graph.floor_mrr(run.meta.source, run.meta.hash)
        gains = run_state.history(run).late_gain, run_state.history(twin).late_gain
        st.markdown(words.comparison(run, twin, runs, floor, gains))
        st.caption(cost)
        with st.container(horizontal=True, gap="small"):
            if here and run.meta.source in folders() and visitors.visitor().is_at_least("teacher"):
                about = "Opens a study with these settings filled in; it starts when you say so."
                act("Train 5 seeds of each", ":material/science:", five_seeds, run, about=about)
            act("Compare them", ":material/compare_arrows:", compare, run, twin, kind="tertiary")


@dataclass
class Pace:
    """How often the ticking part runs: `fast` while a run begins, and while something asked is not done.

    `may_slow_down` once what it hurried for has been drawn, or is not due soon; `ticked` once it ran at all.
    """

    fast: bool
    may_slow_down: bool = False
    ticked: bool = False


def watch(run: Run, twin: Run | None, runs: list[Run], was_under_way: bool, pace: Pace) -> None:
    """One tick: everything that changes while a run trains. Full rerun when the run, or its twin, starts or ends."""
    status = run.status
    showing = twin if twin and st.session_state.get(TWIN) else None
    history, twin_history = run_state.history(run), run_state.history(showing) if showing else None
    going = run_state.under_way(status) or bool(twin and run_state.under_way(twin.status))
    if going != was_under_way:
        dialogs.redraw()
    wish = run_state.wish(run, status)
    begins = run_state.begins(run, status, history)
    if pace.may_slow_down and not begins and not wish:
        dialogs.redraw()
    floor = graph.floor_mrr(run.meta.source, run.meta.hash)
    found = words.result(history, floor, run.config, run_state.under_way(status))
    with st.container():
        heading(run, status, wish, len(history.active))
        if status.state == "finished":
            st.markdown(f"{run_state.sentence(status, run.config)} {found}")
        else:
            place = jobs.pool().place(run)
            doing = str(place) if place else run_state.sentence(status, run.config, wish)
            st.progress(min(1.0, status.epoch / status.epochs), text=doing)
            if found:
                st.markdown(found)
        buttons(run, status, wish)
    if begins and not wish and not pace.ticked:
        # All else is on its way to the browser by now.
        run_state.first_loss(run, history)
    with st.container():
        name = theme.SAMPLERS[twin.config.sampler] if twin else ""
        curves.show(
            curves.panels(
                history,
                run.config,
                live=run_state.under_way(status),
                floor=floor,
                twin=twin_history,
                twin_name=name,
                plays=run.recorded,
            )
        )
        st.caption(words.about_sampler(run.config))
        further(run, status)
    with st.container():
        if not hides_form():
            twin_box(run, twin, runs)
    with st.container():
        health(run, history)
        if cut := run_state.cut_short(status, history):
            st.warning(cut, icon=":material/content_cut:")
    pace.may_slow_down = pace.fast and not wish and not run_state.begins(run, status, history)
    pace.ticked = True
    if wish and not pace.fast:
        dialogs.redraw()


def show(run: Run) -> None:
    """Everything about a run."""
    every = [*list_runs(), *recorded_runs()]
    twin = find_twin(run, every)
    if twin:
        st.session_state.setdefault(TWIN, True)
    status = run.status
    failing.card(run, run_state.history(run), status.state == "finished")
    own = run_state.under_way(status)
    under_way = own or bool(twin and run_state.under_way(twin.status))
    pace = Pace(
        fast=own
        and (run_state.begins(run, status, run_state.history(run)) or bool(run_state.wish(run, status)))
    )
    tick = (FAST_TICK if pace.fast else TICK) if under_way else None

    @st.fragment(run_every=tick)
    def ticking() -> None:
        with shell.told(UNSHOWN):
            watch(run, twin, every, under_way, pace)

    ticking()


shell.guard()
controls()
dataset = None if hides_form() else st.session_state[settings.DATASET]
chosen = shell.head_of_run(
    "Train",
    "A model learns to predict missing facts, from facts and from wrong answers that DANS makes: see it learn.",
    dataset,
)
shell.narrow_hint("Settings and pages are behind the arrows at the top left.")
if problem := st.session_state.pop("train_problem", None):
    st.error(sentence(problem), icon=":material/error:")
if chosen is not None:
    with shell.told(UNSHOWN):
        show(chosen)
elif dataset:
    with st.container(border=True):
        data = markdown_text(shell.dataset_name(dataset))
        st.header(f"Nothing has been trained on {data} here yet", anchor=False)
        st.markdown(
            "The side bar says what it will take, and has all settings. The losses appear here as the run learns."
        )
        st.button("Train with these settings", type="primary", icon=":material/play_arrow:", on_click=start)
else:
    st.info("There is no run to look at here yet.", icon=":material/show_chart:")
if dataset:
    jobs.pool().warm(dataset)
