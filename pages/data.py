"""Screen Data: what a data set is like, what to know before believing a score on it, and one's own triplets."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from dans_app.data import known as data_known
from dans_app.data import sections as data_sections
from dans_app.data import upload_panel
from dans_app.data import walk as data_walk
from dans_app.data.known import Survey
from dans_app.server import graph, keeping, visitors
from dans_app.shared import shell, url_values
from dans_app.shared.address import Address
from dans_app.shared.words import capital, markdown_text, sentence
from dans_data import SPLITS, DatasetInfo
from dans_data.catalogue import Fact
from dans_data.errors import InputError
from dans_data.words import megabytes
from dans_lab import survey

PROBLEM = "data_problem"

PLACES = ("last", "first")
"""Where the panel for one's own triplets stands; who comes for it finds it first."""


def show() -> None:
    known = data_known.listing()
    place = Address("data", "")
    name, problem = data_known.choice(place.raw("data"), known)
    info = known[name]
    own_place = Address("data", name, "view")
    # Only now, since another scope takes old complaints away.
    if problem:
        place.complain(problem)
    place.keep("data", name)
    first = place.said(url_values.one_of(place.raw("own"), "place of your own triplets", PLACES)) == "first"
    place.keep("own", "first" if first else None)
    bar, _ = shell.head_with(
        "Data",
        "What a data set holds, and what to know of it before believing a score on it. "
        f"[Bring your own triplets](#{upload_panel.ANCHOR}).",
        lambda: choose(place, known, name),
    )
    shell.narrow_hint("The other pages are behind the arrows at the top left.")
    shell.toolbar(bar, None)
    said = st.empty()
    if first:
        own_triplets()
    about(info)
    if problem := st.session_state.pop(PROBLEM, None):
        st.error(sentence(problem), icon=":material/error:")
    if info.problem:
        st.error(f"It cannot be read: {markdown_text(info.problem, 400)}.", icon=":material/error:")
    elif info.here:
        with shell.told("This data set cannot be shown"):
            found = data_known.surveyed(info)
            data_walk.around(own_place, found)
            figures(info, found)
            know(info, found)
            data_sections.degrees(own_place, found)
            data_sections.relations(own_place, found)
    else:
        not_here(info)
    if not first:
        own_triplets()
    if place.message:
        said.warning(place.message, icon=":material/link_off:")


def own_triplets() -> None:
    with st.container(border=True):
        upload_panel.panel()


def choose(place: Address, known: dict[str, DatasetInfo], name: str) -> None:
    def chosen() -> None:
        place.choose("own", None)
        place.choose("data", st.session_state["data_choice"])

    st.session_state["data_choice"] = name
    st.selectbox(
        "Data set",
        list(known),
        format_func=lambda each: data_known.label(known[each]),
        key="data_choice",
        label_visibility="collapsed",
        on_change=chosen,
    )


def about(info: DatasetInfo) -> None:
    licence = f" Licence: {markdown_text(info.licence, 200)}." if info.licence else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f"{markdown_text(info.description, 300)}  \n:small[From {markdown_text(info.origin, 300)}.{licence}]",
            width="stretch",
        )
        if info.problem and not info.own:
            return
        if (
            info.here
            and not info.problem
            and st.button("Train on this", icon=":material/play_arrow:", type="primary")
        ):
            shell.train_on(info.name)
        teaches = visitors.visitor().is_at_least("teacher")
        if (
            info.own
            and teaches
            and st.button("Remove", icon=":material/delete:", help="Delete this data set of yours.")
        ):
            remove(info)


# --- not here yet, and away again ------------------------------------------------------------------------------


def not_here(info: DatasetInfo) -> None:
    counts(info)
    with st.container(border=True):
        st.markdown(
            "**It is not on this machine yet.** Once downloaded it is kept, and every screen knows it."
        )
        size = megabytes(info.bytes)
        if st.button(
            f"Download ({size})",
            icon=":material/download:",
            type="primary",
            disabled=not visitors.visitor().is_at_least("teacher"),
        ):
            download(info)
    facts(info.facts)


def download(info: DatasetInfo) -> None:
    """Fetch the files while the page waits; another click ends it, and then nothing is kept."""
    bar = st.progress(0.0, text="Connecting …")

    def tell(came: int, total: int) -> None:
        share = came / total if total else 0.0
        bar.progress(min(share, 1.0), text=f"{came / 1e6:,.1f} of {total / 1e6:,.1f} MB")

    try:
        keeping.download(info.name, tell)
    except InputError as error:
        bar.empty()
        st.error(sentence(error), icon=":material/error:")
        return
    st.rerun()


@st.dialog("Remove this data set?")
def remove(info: DatasetInfo) -> None:
    runs = data_known.runs_on(info.name)
    words = (
        f"The {runs:,} runs that were trained on it stay, but cannot be continued or ranked again."
        if runs > 1
        else "The run that was trained on it stays, but cannot be continued or ranked again."
        if runs
        else "No run was trained on it."
    )
    st.markdown(f"**{markdown_text(data_known.title(info))}** is deleted from this machine for good. {words}")
    with st.container(horizontal=True):
        gone = st.button(
            "Remove for good", type="primary", icon=":material/delete:", on_click=removed, args=(info.name,)
        )
        if st.button("Keep it") or gone:
            st.rerun()


def removed(name: str) -> None:
    try:
        keeping.remove_data(name)
        graph.forget(name)
        Address("data", "").choose("data", None)
    except InputError as error:
        st.session_state[PROBLEM] = str(error)


# --- figures and what to know ----------------------------------------------------------------------------------


def counts(info: DatasetInfo) -> None:
    with st.container(horizontal=True, gap="medium"):
        for label, number in (
            ("Entities", info.entities),
            ("Relations", info.relations),
            *((split.capitalize(), getattr(info, split)) for split in SPLITS),
        ):
            st.metric(label, f"{number:,}", width="content")


def figures(info: DatasetInfo, found: Survey) -> None:
    kg, counted = found.kg, found.statistics
    st.header("In figures", anchor=False)
    counts(info)
    parts = [
        f"An entity stands in **{counted.mean_degree:,.1f}** train triplets on average, in {counted.median_degree:g} "
        f"in the middle, and in {counted.max_degree:,} at most ({markdown_text(kg.entities[counted.busiest])}).",
        f"Of all triplets that could be made, {one_in(counted.density)} is in train.",
        "All entities of train are connected."
        if counted.components == 1
        else f"Train falls into {counted.components:,} parts without a link between them; the largest has "
        f"{100 * counted.largest:.1f} % of its entities.",
    ]
    st.markdown(" ".join(parts))
    if not len(kg.array("test")):
        return
    words = "Popularity floor: ranking by how often an entity fills the slot in train, with nothing learned"
    asked = f"data_floor_{kg.hash}"
    if data_known.costs_little(kg) or st.session_state.get(asked):
        with st.spinner("Working out the popularity floor …", show_time=True):
            floor = data_known.floor(info.name, kg)
        if floor is not None:
            st.markdown(f"{words}, reaches a test MRR of **{floor:.3f}**.")
    elif not any("floor" in fact.told_by for fact in info.facts):
        st.button(
            "Work out the popularity floor",
            icon=":material/straighten:",
            on_click=partial(st.session_state.__setitem__, asked, True),
            help=f"{words}. Takes a while for a graph of this size.",
        )


def know(info: DatasetInfo, found: Survey) -> None:
    told = [fact for fact in survey.unsaid(info.facts, found.findings) if not said_above(fact, found)]
    if not (told or found.findings or found.notes):
        return
    st.header(
        "Know before you believe a score",
        anchor=False,
        help="What was counted in these files, and what is known of the data set. :material/warning: can change what a "
        "score means.",
    )
    with st.container(border=True, gap="small"):
        for finding in found.findings:
            icon = ":orange[:material/warning:]" if finding.severity == "caution" else ":material/info:"
            st.markdown(
                f"{icon} {markdown_text(finding.sentence, 600)}  \n:small[{markdown_text(finding.why, 400)}]"
            )
        lines([fact.sentence for fact in told])
        lines([f"{capital(note)}." for note in found.notes])


def said_above(fact: Fact, found: Survey) -> bool:
    """Whether the figures say it already, by name or not."""
    return "floor" in fact.told_by and data_known.costs_little(found.kg)


def facts(told: Sequence[Fact]) -> None:
    if told:
        st.header("Know before you believe a score", anchor=False)
        with st.container(border=True, gap="small"):
            lines([fact.sentence for fact in told])


def lines(sentences: Sequence[str]) -> None:
    for each in sentences:
        st.markdown(f":material/info: {markdown_text(each, 600)}")


def one_in(part: float) -> str:
    return f"1 in {1 / part:,.0f}" if part > 1e-6 else f"1 in {1e-6 / part:,.1f} million"


shell.guard()
show()
