"""Screen Studies: many runs for one question, with what they say together and every run behind it."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from dans_app.server import studies, visitors
from dans_app.shared import classroom, dialogs, exports, shell, study_link
from dans_app.shared.address import Address
from dans_app.shared.words import markdown_text, sentence
from dans_app.studies import choice as study_choice
from dans_app.studies import data as study_data
from dans_app.studies import figures, form, strata, words
from dans_app.studies import files as study_files
from dans_app.studies import runs as study_runs
from dans_app.studies import table as study_table
from dans_app.studies.choice import ORDERS, SPLITS, Places, Spot, TableOptions
from dans_app.studies.data import Conducted, Listed, Loaded, StudyListing, StudyView
from dans_app.studies.sections import MOST_COLUMNS, Drawn, calm, chart, learned, settings, stability
from dans_data.errors import InputError
from dans_lab.names import METRICS
from dans_lab.study import tables
from dans_lab.study import words as told
from dans_lab.study.facts import unseen
from dans_lab.study.folder import Study
from dans_lab.study.plan import Plan

TICK = 3.0
TABLE = "studies_table"
PROBLEM = "studies_problem"
KINDS = {"md": "text/markdown", "csv": "text/csv", "html": "text/html", "toml": "application/toml"}
AT_REST = Conducted("at rest")


def show() -> None:
    bar = shell.head("Studies")
    st.caption("Many runs for one question: which negatives help, how sure that is, and every run behind it.")
    shell.narrow_hint("The other pages are behind the arrows at the top left.")
    shell.toolbar(bar, None)
    found = study_data.listing()
    # Before anything is complained of, which another part of the address takes away.
    new = form.address()
    places = Places.of(found)
    if new.raw(study_link.NEW) is not None and may_run():
        new_study(places.screen, new)
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if places.key is not None:
            study_choice.choose_study(places.screen, found, places.key)
        if may_run():
            st.button(
                "New study",
                icon=":material/add:",
                type="secondary" if found.studies else "primary",
                key="studies_new",
                on_click=new.choose,
                args=(study_link.NEW, "1"),
                help="Choose data, samplers, decoders, seeds and settings, see what it takes, and start it.",
            )
    options = study_choice.options(places.screen)
    said = st.empty()
    unreadable(found)
    if places.key is None:
        none_yet(found)
    else:
        with shell.told("This study cannot be shown"):
            study(places, found.studies[places.key], options)
            with st.expander(
                "Studies that come with the app",
                icon=":material/play_arrow:",
                key="studies_start",
                on_change="rerun",
            ) as more:
                if more.open:
                    how_to_start(found)
    if problem := st.session_state.pop(PROBLEM, None):
        st.error(sentence(problem), icon=":material/error:")
    if places.screen.message:
        said.warning(places.screen.message, icon=":material/link_off:")


def may_run() -> bool:
    """Whether whoever looks may start studies here."""
    return visitors.visitor().is_at_least("teacher") and not classroom.hides("settings")


def unreadable(found: StudyListing) -> None:
    for key, reason in list(found.unreadable.items())[:5]:
        st.warning(
            f"Study “{markdown_text(key)}” cannot be read: {markdown_text(reason, 300)}.",
            icon=":material/folder_off:",
        )
    if len(found.unreadable) > 5:
        st.caption(f"And {len(found.unreadable) - 5:,} more that cannot be read.")


# --- none yet --------------------------------------------------------------------------------------------------


def new_study(screen: Address, place: Address) -> None:
    said = st.empty()
    st.button(
        "Back to the studies",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=form.close,
        args=(place,),
    )
    form.show(place)
    if screen.message:
        said.warning(screen.message, icon=":material/link_off:")


def none_yet(found: StudyListing) -> None:
    here = "" if not may_run() else "Put one together by **New study**, or start one of those below. "
    st.info(
        f"There is no study yet. {here}One that is started in a terminal shows up here while it runs, too.",
        icon=":material/science:",
    )
    how_to_start(found)

    @st.fragment(run_every=TICK)
    def waiting() -> None:
        if study_data.listing().studies:
            dialogs.redraw()

    waiting()


def how_to_start(found: StudyListing) -> None:
    """The studies that come with the program, each with its button and its command."""
    for plan in study_data.shipped_plans():
        asks = f"**{markdown_text(plan.title)}**: {markdown_text(plan.question, 300)}"
        st.markdown(f"{asks}  \n:small[{markdown_text(words.size(plan), 200)}]")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            may = plan.name not in found.studies and study_data.download(plan) is None
            if may and may_run():
                st.button(
                    "Start",
                    icon=":material/play_arrow:",
                    key=f"studies_start_{plan.name}",
                    on_click=begin,
                    args=(plan,),
                )
            st.code(f"python -m dans_core study {plan.name}", language="bash")
    st.caption(
        "The times are rough: before it begins, a study times each kind of run. In a terminal Ctrl-C pauses it, and "
        "the same command goes on with it. A study of your own that the form cannot say is a file like those in "
        "assets/studies: `python -m dans_core study FILE.toml`."
    )


def begin(plan: Plan) -> None:
    """For callbacks: start a study and look at it."""
    try:
        studies.conductors().begin(plan)
    except InputError as problem:
        st.session_state[PROBLEM] = str(problem)
    else:
        Address("studies", "").choose("study", plan.name)


# --- a study ---------------------------------------------------------------------------------------------------


def study(places: Places, listed: Listed, options: TableOptions) -> None:
    loaded = study_data.load(listed)
    plan = loaded.plan
    st.header(markdown_text(plan.title, 200), anchor=False)
    if plan.question:
        st.markdown(markdown_text(plan.question, 400))
    if plan.budget:
        st.caption(f"Training budget: {markdown_text(plan.budget, 400)}")
    how_far(loaded)
    damaged(loaded)
    if not loaded.records:
        return
    study_choice.choose_part(places.study, loaded, places.number)
    options = study_choice.that_are_there(places.screen, loaded, options)
    every = study_data.view(loaded, places.number, options.metric)
    seen = study_data.view(loaded, places.number, options.metric, seen=True) if loaded.seen else None
    view = seen if seen is not None and options.seen else every
    spot = study_choice.spot(places.part, view)
    drawn: Drawn = []
    findings(every, seen)
    ran_on(loaded)
    controls(places.screen, loaded, options)
    if view.part.figure == "line":
        settings(loaded, options, drawn)
    if view.part.figure == "stability":
        stability(places.study, view, spot, drawn)
    beside = seen if view is every and options.split == "test" else None
    results(places.part, loaded, view, beside, spot, options)
    differences(view, spot, options, drawn)
    strata.show(loaded, every, spot.column)
    by_seed(places.part, loaded, view, spot, options, drawn)
    if view.part.figure != "stability":
        learned(places.study, view, spot, options, drawn)
        calm(view, spot, options, drawn)
    runs(places.part, loaded, view, spot)
    downloads(loaded, view, options, drawn)


def how_far(loaded: Loaded) -> None:
    """How many runs there are and which are under way; looks for new ones while any is to come."""
    if not loaded.left:
        return

    @st.fragment(run_every=None if loaded.shipped else TICK)
    def ticking() -> None:
        now = study_data.listing().studies.get(loaded.listed.key)
        if now is None or now.plan is not loaded.plan or study_data.load(now).stamp != loaded.stamp:
            dialogs.redraw()
        going = study_data.going(loaded)
        state = AT_REST if loaded.shipped else study_data.conducted(loaded.listed.study)
        left = study_data.seconds_left(loaded, max(len(going), state.size), going)
        done = 1 - len(loaded.left) / loaded.listed.total
        st.progress(done, text=words.progress(loaded, state, going, left))
        if going:
            st.caption("  \n".join(["Being trained now:", *map(markdown_text, words.training_now(going))]))
        if not loaded.shipped:
            conducting(loaded, state, bool(going))

    ticking()


def conducting(loaded: Loaded, state: Conducted, training: bool) -> None:
    """Who runs it, and what can be asked of it."""
    listed = loaded.listed.study
    if state.reason:
        st.error(f"It ended before its time: {markdown_text(state.reason, 300)}.", icon=":material/error:")
    if who := words.conductor(state):
        st.caption(who)
    if visitors.visitor().is_at_least("teacher") and not classroom.hides("controls"):
        if state.state != "at rest":
            st.button(
                "Pause",
                icon=":material/pause:",
                key="studies_pause",
                disabled=state.state in ("starting", "pausing"),
                on_click=ask_to_pause,
                args=(listed,),
            )
        elif not training:
            st.button(
                "Resume",
                icon=":material/play_arrow:",
                type="primary",
                key="studies_resume",
                on_click=go_on,
                args=(listed,),
            )
    if state.state == "at rest" and not training:
        st.caption("In a terminal this goes on with it:")
        st.code(words.command(loaded), language="bash")


def ask_to_pause(study: Study) -> None:
    try:
        studies.pause(study)
    except InputError as problem:
        st.session_state[PROBLEM] = str(problem)


def go_on(study: Study) -> None:
    try:
        studies.conductors().go_on(study)
    except InputError as problem:
        st.session_state[PROBLEM] = str(problem)


def damaged(loaded: Loaded) -> None:
    if loaded.problem:
        st.warning(
            f"What it ran on is not known: {markdown_text(loaded.problem, 300)}.", icon=":material/warning:"
        )
    if loaded.damaged:
        run, reason = next(iter(loaded.damaged.items()))
        many = (
            f"{len(loaded.damaged):,} records cannot be read and are left out"
            if len(loaded.damaged) > 1
            else (f"The record of {markdown_text(run)} cannot be read and is left out")
        )
        st.warning(f"{many}: {markdown_text(reason, 300)}.", icon=":material/warning:")


def findings(view: StudyView, seen: StudyView | None) -> None:
    found = told.sentences(view.table, seen.table if seen else None)
    if found:
        with st.container(border=True):
            st.markdown("\n".join(f"- {markdown_text(sentence, 600)}" for sentence in found))


def ran_on(loaded: Loaded) -> None:
    with st.expander(
        "What it ran on", icon=":material/info:", key="studies_ran_on", on_change="rerun"
    ) as opened:
        if opened.open:
            st.markdown("\n".join(f"- {markdown_text(fact, 1000)}" for fact in words.ran_on(loaded)))


def controls(place: Address, loaded: Loaded, options: TableOptions) -> None:
    splits = {name: title for name, title in SPLITS.items() if name != "seen" or loaded.seen}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        place.segmented("metric", "Measure", METRICS, options.metric, words.METRICS_HELP)
        place.segmented("split", "Measured on", splits, options.choice, words.SPLIT_HELP)
        place.segmented("order", "Rows", ORDERS, options.order, "Best first: by the mean over the columns.")


# --- the table and what beats what -----------------------------------------------------------------------------


def results(
    place: Address,
    loaded: Loaded,
    view: StudyView,
    beside: StudyView | None,
    spot: Spot,
    options: TableOptions,
) -> None:
    metric, split = options.metric, options.split
    title = f"{METRICS[metric]} on {view.where(split)}"
    title = f"{markdown_text(view.part.title, 120)}: {title}" if len(loaded.plan.parts) > 1 else title
    st.header(title, anchor=False, help=told.compared(len(view.plan.seeds)))
    if view.part.note:
        st.caption(markdown_text(view.part.note, 600))
    rows = words.ordered(view, options.order == "value", metric, split)

    def pressed() -> None:
        if (at := study_table.picked(TABLE)) and at[0] < len(view.rows) and at[1] < len(view.columns):
            study_choice.go(place, view, view.rows[at[0]], view.columns[at[1]])

    known = words.floor_words(loaded.meta, metric, view, split)
    data = words.table_data(view, rows, metric, split, known, (spot.row, spot.column), beside)
    study_table.show(data, TABLE, pressed)
    why_seen = unseen(loaded.seen) if beside is not None or view.seen else ""
    st.caption("  \n".join(filter(None, [words.legend(view, split), why_seen, *words.lost_runs(view)])))


def differences(view: StudyView, spot: Spot, options: TableOptions, drawn: Drawn) -> None:
    if not view.comparisons:
        return
    reference = markdown_text(view.row_title(view.reference))
    st.header(
        f"Against {reference}, on {view.where('test')}",
        anchor=False,
        help="Right of the line a row does better than the reference. An interval that crosses the line leaves it open "
        f"who is better. {told.compared(len(view.plan.seeds))}",
    )
    st.caption(words.UNCORRECTED)
    ends = figures.reach(view)
    columns = view.columns if len(view.columns) <= MOST_COLUMNS else (spot.column,)
    for holder, column in zip(st.columns(len(columns)), columns, strict=True):
        with holder:
            rows = words.ordered(view, options.order == "value", options.metric, "test", column)
            title = view.column_name(column)
            if title:
                st.markdown(f"**{markdown_text(title)}**")
            chart(
                drawn,
                ", ".join(filter(None, (f"Against {view.row_title(view.reference)}", title))),
                figures.forest(view, column, rows, ends),
                figures.forest_alt(view, column, rows),
                f"studies_forest_{view.columns.index(column)}",
            )


# --- the seeds behind the means --------------------------------------------------------------------------------


def by_seed(
    place: Address, loaded: Loaded, view: StudyView, spot: Spot, options: TableOptions, drawn: Drawn
) -> None:
    st.header(
        "Every run",
        anchor=False,
        help="A dot is a run with one seed; bar and line: mean and standard deviation.",
    )
    if len(view.columns) > 1:
        names = {
            study_choice.token(column): markdown_text(view.column_name(column)) for column in view.columns
        }
        title = " and ".join(tables.title(axis.name) for axis in view.part.columns)
        place.segmented(
            "column", title, names, study_choice.token(spot.column), "Which column is drawn from here on."
        )
    column = spot.column
    rows = words.ordered(view, options.order == "value", options.metric, options.split, column)
    floor = words.floor_of(loaded.meta, options.metric, view, options.split)
    figure = figures.strip(view, column, rows, options.metric, options.split, floor, (spot.row, spot.seed))
    key = "studies_strip"

    def clicked() -> None:
        points = st.session_state[key]["selection"]["points"]
        if points and (at := points[0].get("customdata")):
            _, row, seed = at
            if row in range(len(view.rows)) and seed in view.plan.seeds:
                study_choice.go(place, view, view.rows[row], column, seed)

    alt = figures.strip_alt(view, column, rows, options.metric, options.split)
    drawn.append(("Every run", figure, alt))
    st.plotly_chart(
        figure,
        key=key,
        alt=alt,
        config=exports.config("Every run"),
        on_select=clicked,
        selection_mode="points",
    )
    st.caption("Click a dot to open its run below.")


# --- runs and files --------------------------------------------------------------------------------------------


def runs(place: Address, loaded: Loaded, view: StudyView, spot: Spot) -> None:
    st.header(f"Runs of {markdown_text(words.place(view, spot.row, spot.column))}", anchor=False)
    study_runs.choose_row(place, view, spot)
    study_runs.show(place, loaded, view, spot)


def downloads(loaded: Loaded, view: StudyView, options: TableOptions, drawn: Drawn) -> None:
    if classroom.hides("downloads"):
        return
    st.header("Take it with you", anchor=False)
    name = f"{loaded.plan.name} {view.part.title}" if len(loaded.plan.parts) > 1 else loaded.plan.name
    rows = study_files.frame(view, list(view.rows), options.metric, options.split)
    table = exports.file_name(f"{name} {options.metric} {view.where(options.split)}", "csv")
    every = exports.file_name(f"{loaded.plan.name} runs", "csv")
    charts = exports.file_name(f"{name} charts", "html")
    with st.container(horizontal=True, gap="small"):
        file(
            "Report",
            partial(study_files.report_text, loaded),
            f"{loaded.plan.name}.md",
            study_files.REPORT_HELP,
        )
        file("This table", partial(exports.csv, rows), table, study_files.TABLE_HELP)
        file("Every run", lambda: exports.csv(study_files.runs_frame(loaded)), every, study_files.RUNS_HELP)
        file("Study file", loaded.plan.text.encode, f"{loaded.plan.name}.toml", study_files.PLAN_HELP)
        file("Charts", partial(exports.charts, drawn, loaded.plan.title), charts, study_files.CHARTS_HELP)


def file(label: str, make: Callable[[], bytes], name: str, about: str) -> None:
    st.download_button(
        label,
        make,
        file_name=name,
        mime=KINDS[name.rpartition(".")[2]],
        key=f"studies_file_{label}",
        icon=":material/download:",
        on_click="ignore",
        help=about,
    )


shell.guard()
show()
