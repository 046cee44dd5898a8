"""What all screens share: the list of pages, the guard for deep links, and the choice of a run."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dans_app.server import access, loading, visitors
from dans_app.shared import (
    bookmarks,
    classroom,
    dialogs,
    exports,
    lesson_bar,
    lesson_place,
    screen,
    theme,
    tour,
)
from dans_app.shared.spelling import DATASET
from dans_app.shared.words import markdown_text as markdown_text
from dans_core.declared import import_registered
from dans_data.errors import InputError
from dans_data.shipped import TOP
from dans_data.words import count, plural
from dans_lab.apart import as_words, differing
from dans_lab.runs.folder import about_or_nothing
from dans_lab.runs.run import Run, list_runs, recorded_runs, runs_dir, scan_runs
from dans_lab.sharing.roles import MAY
from dans_lab.sharing.settings import current

T = TypeVar("T")
READY = "dans_ready"
"""Session key: app.py has run in this browser session, so the menu and the titles are right."""

PICKED = "dans_run"
"""Session key: the id of the run that this person is looking at, kept across pages."""


PAGE = "dans_page"
"""Session key: the path of the page that is shown."""

ARRIVED = "dans_arrived"
"""Session key: a bookmark was just opened, so what its address does not name has its default."""

_LEAVING = "dans_leaving"
"""Session key: what the page that is shown wants done when the person goes to another."""

_LEARN = ("how", "step", "lessons", "quiz")
"""Paths of the pages that teach: a menu of their own, so that beside a side bar all others still stand in one row."""

_NEWCOMERS = ("", "start", "how")
"""Paths of the pages that offer the tour."""

_MOST_SETTINGS = 3
"""Settings that a line about a run names."""

_NEWEST = "dans_run_picker"
"""Session key: the key of the list of runs that is on the screen."""


def pages() -> list[st.Page]:
    """The screens, in the order in which the menu names them; the first is the one without a path."""
    train = st.Page(
        TOP / "pages" / "train.py",
        title="Train",
        icon=":material/show_chart:",
        url_path="start",
        default=True,
        help="Start a run and watch the losses, the ranking and the health of the negatives as it trains.",
    )

    def to_train() -> None:
        st.switch_page(train, query_params=st.query_params.to_dict())

    return [
        train,
        # A default page has no path of its own, but a person may type it.
        st.Page(to_train, title="Train", url_path="train", visibility="hidden"),
        st.Page(
            TOP / "pages" / "how.py",
            title="How it works",
            icon=":material/schema:",
            url_path="how",
            help="DANS as one drawing: each part opens its formula with the numbers of a run, its settings, its code.",
        ),
        st.Page(
            TOP / "pages" / "step.py",
            title="Step",
            icon=":material/footprint:",
            url_path="step",
            help="One round of the game, a stage at a time: the negatives of one triplet before and after each update.",
        ),
        st.Page(
            TOP / "pages" / "lessons.py",
            title="Lessons",
            icon=":material/school:",
            url_path="lessons",
            help="Eight short lessons: predict, run, see the gap, and answer a question from the screen.",
        ),
        st.Page(
            TOP / "pages" / "quiz.py",
            title="Real or generated",
            icon=":material/quiz:",
            url_path="quiz",
            help="You be the discriminator: tell fakes from entities in ten rounds, and be scored beside D.",
        ),
        st.Page(
            TOP / "pages" / "data.py",
            title="Data",
            icon=":material/hub:",
            url_path="data",
            help="What a data set holds, what to know before believing a score on it, and your own triplets.",
        ),
        st.Page(
            TOP / "pages" / "map.py",
            title="Map",
            icon=":material/scatter_plot:",
            url_path="map",
            help="Real entities and generated negatives in one projection, at every snapshot of a run.",
        ),
        st.Page(
            TOP / "pages" / "triplet.py",
            title="Triplet",
            icon=":material/conversion_path:",
            url_path="triplet",
            help="The negatives of one triplet from each sampler: nearest entity, scores, and D's opinion.",
        ),
        st.Page(
            TOP / "pages" / "predict.py",
            title="Predict",
            icon=":material/lightbulb:",
            url_path="predict",
            help="What a run answers where a place of a triplet is open: ranked, known facts marked, with its worth.",
        ),
        st.Page(
            TOP / "pages" / "diagnostics.py",
            title="Diagnostics",
            icon=":material/monitor_heart:",
            url_path="diagnostics",
            help="Are the generated negatives hard, diverse and really false? Every measurement, epoch by epoch.",
        ),
        st.Page(
            TOP / "pages" / "compare.py",
            title="Compare",
            icon=":material/compare_arrows:",
            url_path="compare",
            help="Runs side by side: what differs, their curves, and whether one ranks better than luck.",
        ),
        st.Page(
            TOP / "pages" / "studies.py",
            title="Studies",
            icon=":material/science:",
            url_path="studies",
            help="Many runs for one question: tables with intervals, what beats what, and every run behind them.",
        ),
        st.Page(
            TOP / "pages" / "runs.py",
            title="Runs",
            icon=":material/list_alt:",
            url_path="runs",
            help="All runs with their results: name, compare, repeat, delete.",
        ),
        # Not in the menu, which is for students as well: the dialog of Teach leads to it.
        st.Page(
            TOP / "pages" / "teach.py",
            title="For teachers",
            icon=":material/school:",
            url_path="teach",
            visibility="hidden",
        ),
    ]


def menu() -> dict[str, list[st.Page]]:
    """The screens as the menu has them: those in the row itself, and those of the menu Learn."""
    found: dict[str, list[st.Page]] = {"": [], "Learn": []}
    for each in pages():
        found["Learn" if each.url_path in _LEARN else ""].append(each)
    return found


def page(title: str) -> st.Page:
    """The screen of this title."""
    return next(each for each in pages() if each.title == title)


def title_of(path: str) -> str:
    """The title of the screen of this path."""
    return next(each.title for each in pages() if path == (each.url_path or "train"))


def leave(title: str, **query: str) -> None:
    """Go to another screen with this query; a run that it names is the one to look at from now on."""
    if "run" in query:
        select(query["run"])
    st.switch_page(page(title), query_params=query)


def train_on(dataset: str) -> None:
    """Go to Train with this data set, and with the newest run on it if there is one, whatever was looked at before."""
    st.session_state[DATASET] = dataset
    st.session_state.pop(PICKED, None)
    leave("Train", **{DATASET: dataset_name(dataset)})


def configure() -> None:
    """Title, icon and layout of the app."""
    st.set_page_config(
        page_title="DANS Lab",
        # A file, since Streamlit fetches icons given by name from another host.
        page_icon=str(Path(__file__).with_name("icon.svg")),
        layout="wide",
        initial_sidebar_state=330,
    )
    with told("Not every sampler is here"):
        import_registered()


def guard() -> None:
    """First line of every page: on a deep link to a fresh server, let app.py run before the page.

    Streamlit serves the first request for a file of a folder named `pages/` without the entry file, with the
    wrong menu and title. Registering the pages and running again puts it right.
    """
    if not st.session_state.get(READY):
        configure()
        st.navigation(pages(), position="hidden")
        st.session_state[READY] = True
        st.rerun()


def navigate() -> None:
    """The menu, and the page that was asked for."""
    st.session_state[READY] = True
    classroom.keep()
    page = st.navigation(menu(), position="hidden" if classroom.hides("menu") else "top", expanded=True)
    if st.session_state.get(PAGE) != page.url_path:
        st.session_state.pop(_LEAVING, _nothing)()
    st.session_state[PAGE] = page.url_path
    st.session_state[ARRIVED] = bookmarks.arrives()
    if st.session_state[ARRIVED]:
        _forget_views()
        classroom.keep(anew=True)
    st.set_page_config(page_title=f"{page.title} · DANS Lab")
    screen.around()
    with _on_tour(page.title) as touring:
        if not touring:
            with told("The lesson cannot be followed"):
                _accompany(page.url_path or "train")
        page.run()
    # After the first screen is on its way: the others then find what they need.
    loading.prepare()


def _accompany(path: str) -> None:
    """Above every screen but their own, the bar of the lesson that is followed."""
    place = lesson_place.follow()
    if path == "lessons":
        return
    if problem := lesson_place.problem():
        st.warning(problem, icon=":material/link_off:")
    if place is not None and (wish := lesson_bar.show(place, path)):
        if wish == "back":
            leave("Lessons")
        st.rerun()


@contextmanager
def _on_tour(title: str) -> Iterator[bool]:
    """The card of a stop of the tour above the screen that is drawn, where the address asks for one; whether it does.

    A lesson that is followed waits meanwhile, as two guides would speak at once.
    """
    stop, problem = tour.asked(st.query_params.get(tour.KEY), title)
    if stop is None:
        st.query_params.pop(tour.KEY, None)
        if problem:
            st.warning(problem, icon=":material/link_off:")
        yield False
        return
    lesson_place.follow()
    words = tour.card(stop, _go)
    yield True
    tour.name_a_negative(stop, words)


def _newcomers_come_here() -> bool:
    """Whether this screen offers the tour: not while one is on it, nor where a teacher's link keeps to one screen."""
    on_it = tour.KEY in st.query_params or classroom.hides("menu")
    return st.session_state.get(PAGE) in _NEWCOMERS and not on_it


def _go(title: str, query: Mapping[str, str]) -> None:
    """Go to a screen as its address alone says; a lesson that is followed is not left."""
    followed = lesson_place.now()
    _forget_views()
    if followed is not None:
        lesson_place.begin(followed.lesson.name)
    leave(title, **query)


def when_left(do: Callable[[], None]) -> None:
    """Have this done when the person goes from this page to another."""
    st.session_state[_LEAVING] = do


def _nothing() -> None:
    """A page that holds nothing has nothing to let go of."""


def _forget_views() -> None:
    """Let the address alone say what is shown, as at the beginning of a session."""
    for key in [key for key in st.session_state if key == PICKED or str(key).startswith("address_")]:
        del st.session_state[key]


def select(run_id: str) -> None:
    """Look at this run from now on: in the URL, and on the other pages. For callbacks and before `pick_run`."""
    st.session_state[PICKED] = run_id
    st.query_params["run"] = run_id


def looked_at() -> Run | None:
    """The run that was last looked at in this session, if it is still there."""
    wanted = st.session_state.get(PICKED)
    return next((run for run in (*list_runs(), *recorded_runs()) if run.id == wanted), None)


def pick_run(problem: DeltaGenerator, dataset: str | None) -> Run | None:
    """The run to show, with a list to choose another; None (and a friendly word) where there is no run.

    It is the run looked at before; at the beginning of a session that of `?run=` in the URL, else the recorded run,
    else the newest, of those on this `dataset` if it is given: None where there are none. Later the URL is written and
    not read, since what a browser sends with a tick may be an older address. An id that is unknown or not an id at all
    gets one sentence, in the place for a `problem`, and the recorded run is shown instead.
    """
    recorded = recorded_runs()
    listing = scan_runs(runs_dir())
    runs = {run.id: run for run in [*listing.runs, *recorded]}
    wanted = st.session_state.get(PICKED) or st.query_params.get("run")
    if wanted and wanted not in runs:
        problem.warning(
            _unknown(wanted, bool(recorded), listing.unreadable.get(wanted)), icon=":material/link_off:"
        )
        wanted = None
    if not runs:
        return None
    fitting = {run_id: run for run_id, run in runs.items() if dataset in (None, run.meta.dataset)}
    first = next((run.id for run in recorded if run.config.fakes and run.id in fitting), None)
    chosen = wanted or first or next(iter(without_studies(fitting) or fitting), None)
    if chosen:
        select(chosen)
    listed = without_studies(runs, (chosen,) if chosen else ())
    lines = labels(listed)
    # A browser sends the value of each widget again with every tick, as it last knew it, also of one that has just
    # gone. So a list with other words or another choice is another widget, and only the newest one is listened to.
    key = f"run_picker_{zlib.crc32(repr((chosen, lines)).encode()):x}"
    st.session_state[_NEWEST] = key
    if chosen and classroom.hides("run"):
        return runs[chosen]
    st.selectbox(
        "Run",
        list(lines),
        label_visibility="collapsed",
        index=list(lines).index(chosen) if chosen else None,
        format_func=lines.__getitem__,
        placeholder="Choose a run to look at",
        key=key,
        on_change=_picked,
        args=(key,),
    )
    tell_unlisted(len(runs) - len(listed))
    return runs[chosen] if chosen else None


def without_studies(runs: Mapping[str, Run], shown: Collection[str] = ()) -> dict[str, Run]:
    """The runs that a list offers: a study has so many that none of its own are, but for those that are `shown`."""
    return {run_id: run for run_id, run in runs.items() if run.meta.study is None or run_id in shown}


def tell_unlisted(hidden: int) -> None:
    """Say where the runs are that a list leaves out, if there are any."""
    if hidden:
        runs, them = count(hidden, "run of a study is", "runs of studies are"), plural(hidden, "it", "them")
        st.caption(f"{runs} not listed; open {them} from Studies.")


def _picked(key: str) -> None:
    if st.session_state[_NEWEST] == key and st.session_state[key]:
        select(st.session_state[key])


def describe(run: Run) -> str:
    """One line that tells this run from the others, such as "UMLS · ComplEx · DANS · seed 0 · 300 epochs · lr 0.1 · …".

    The name that a person gave it stands first, and what differs from the defaults behind the epochs.
    """
    config, status = run.config, run.status
    state = theme.STATES[status.state].lower()
    if status.state not in ("queued", "running", "finished"):
        state += f" at epoch {status.epoch:,}"
    if status.best_mrr is not None and not status.live:
        state += f", MRR {status.best_mrr:.3f}"
    parts = [
        dataset_name(run.meta.dataset),
        theme.DECODERS[config.decoder],
        theme.SAMPLERS[config.sampler],
        f"seed {config.seed}",
        f"{config.epochs:,} epochs",
        *as_words(
            {name: value for name, value in differing(config).items() if name != "epochs"}, _MOST_SETTINGS
        ),
        state,
    ]
    mark = "Recorded · " if run.recorded else "● Live · " if status.live else ""
    name = about_or_nothing(run).name
    return (f"{name} · " if name else "") + mark + " · ".join(parts)


def labels(runs: Mapping[str, Run]) -> dict[str, str]:
    """A line for each run that no other has: the id is added where two would read the same."""
    lines = {run_id: describe(run) for run_id, run in runs.items()}
    all_of_them = list(lines.values())
    return {
        run_id: line if all_of_them.count(line) == 1 else f"{line} · {run_id}"
        for run_id, line in lines.items()
    }


def dataset_name(name: str) -> str:
    """How a data set is written on screen."""
    return theme.DATASETS.get(name, name)


def begin(title: str, about: str, without: str, icon: str) -> Run | None:
    """The top of a screen about one run: title, the choice of the run, and a line on what it is for.

    `without` is said, with an `icon`, where there is no run yet; then the answer is None.
    """
    run = head_of_run(title, about)
    narrow_hint("The other pages are behind the arrows at the top left.")
    if run is None:
        st.info(without, icon=icon)
    return run


def head_of_run(title: str, about: str, dataset: str | None = None) -> Run | None:
    """Title, choice of a run (see `pick_run`) and toolbar in one row, and below it what the screen is for."""
    problem = st.empty()
    bar, run = head_with(title, about, lambda: pick_run(problem, dataset))
    toolbar(bar, run)
    return run


def head_with(title: str, about: str, choose: Callable[[], T]) -> tuple[DeltaGenerator, T]:
    """The place for the `toolbar`, and what is chosen between it and the title; below, what the screen is for."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(title, anchor=False, width="content")
        with st.container(key="head_choice"):
            chosen = choose()
        bar = st.container(width="content")
    with st.container(key="head_about"):
        st.caption(about)
    classroom.announce()
    return bar, chosen


def head(title: str) -> DeltaGenerator:
    """The title of a screen, and the place right of it for the `toolbar`."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(title, anchor=False, width="stretch")
        place = st.container(width="content")
    classroom.announce()
    return place


def toolbar(place: DeltaGenerator, run: Run | None) -> None:
    """What every screen offers: to share this view, bookmarks, and a link for students."""
    dialogs.drawn_anew()
    if classroom.hides("tools"):
        return
    with place:
        _tools(run)


# A fragment, so that opening a list does not draw the screen anew. Dialogs and not popovers, since one that closes
# as a link of the menu is pressed would bring the server back to the page that is being left.
@st.fragment
def _tools(run: Run | None) -> None:
    with st.container(horizontal=True, gap="xsmall"):
        if _newcomers_come_here():
            tour.offer(_go)
        share = _tool("Share", "share", "Share this view")
        marks = _tool("Bookmarks", "bookmarks", "Bookmarks")
        teach = _tool("Teach", "school", "Teach: a link for students")
        who = current() is not None and _tool("Log out", "person", "Who you are here, and logging out")
        if screen.present_button():
            st.rerun()
    if who:
        _who()
    if share:
        _share(run)
    if marks:
        _bookmarks()
    if teach:
        _teach()


def _tool(label: str, icon: str, about: str) -> bool:
    key = f"toolbar_{label.lower()}"
    return st.button(label, icon=f":material/{icon}:", key=key, type="tertiary", help=about)


@dialogs.staying("Who you are here")
def _who() -> None:
    role = visitors.visitor().role
    st.markdown(f"You are here as a **{role}** and may {MAY[role]}.")
    if (sharing := current()) is not None and (sharing.codes or sharing.sign_in):
        # A link of Streamlit's opens another tab, in which nothing would be logged out.
        st.html(
            f'<a href="{access.base_path()}/logout" target="_self" style="color: inherit">Log out on this computer</a>'
        )


@dialogs.staying("Share this view")
def _share(run: Run | None) -> None:
    with told("This run cannot be shared"):
        exports.share(run)


@dialogs.staying("Bookmarks")
def _bookmarks() -> None:
    known = {page.url_path: page for page in pages() if page.visibility != "hidden"}
    bookmarks.show(known, st.session_state.get(PAGE, ""))


@dialogs.staying("For teachers", width="medium")
def _teach() -> None:
    st.caption("A link to this view for students, without what would distract them, and with a task.")
    classroom.form(exports.address())
    if st.button(
        "Lessons, lecture plans and a page to print", icon=":material/school:", key="toolbar_teachers"
    ):
        st.switch_page(page("For teachers"))


@contextmanager
def told(what: str) -> Iterator[None]:
    """A run whose files are gone or damaged gets one sentence, such as "This run cannot be drawn: …"."""
    try:
        yield
    except InputError as error:
        st.error(f"{what}: {markdown_text(str(error), 300)}.", icon=":material/error:")


def narrow_hint(text: str) -> None:
    """A line for narrow screens alone, where Streamlit folds the side bar away."""
    if classroom.hides("menu"):
        return
    with st.container(key="narrow_hint"):
        st.html("<style>@media (min-width: 768px) { .st-key-narrow_hint { display: none; } }</style>")
        st.caption(text)


def _unknown(run_id: str, recorded: bool, damage: str | None) -> str:
    instead = "the recorded run is shown instead" if recorded else "choose one below, or start one"
    if damage is not None:
        return f"Run “{markdown_text(run_id)}” cannot be read ({markdown_text(damage, 200)}); {instead}."
    if re.fullmatch(r"[a-z0-9-]{1,64}", run_id):
        return f"There is no run “{markdown_text(run_id)}” on this machine; {instead}."
    return f"The address asks for something that is not the name of a run; {instead}."
