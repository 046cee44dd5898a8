"""The panel "Bring your own triplets": files become a data set that every screen knows by name.

What they hold is shown at once; nothing is written before "Keep this data set" is pressed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from dans_app.data import (
    upload_columns,
    upload_encoding,
    upload_faults,
    upload_process,
    upload_reading,
    upload_words,
)
from dans_app.data.upload_process import Reading
from dans_app.server import graph, keeping, visitors
from dans_app.shared import shell
from dans_app.shared.address import Address
from dans_app.shared.words import markdown_text, sentence
from dans_data import own
from dans_data.errors import InputError
from dans_data.faults import BadLinesError
from dans_data.text import EncodingError

ANCHOR = "own-triplets"
"""Where the panel stands on its screen, for links to it."""

_ROUND = "upload_round"
"""Session key: counts what was kept; each time the place for files is another, empty one."""

_SEED = "upload_seed"
_NAME = "upload_name"
_NAME_OF = "upload_name_of"
"""Session key: for which files the name was suggested."""


# A fragment, so that a letter typed into the name does not draw the whole screen anew.
@st.fragment
def panel() -> None:
    """Everything: the place for files, what they hold, the name, the button, and what to do with what was kept."""
    st.header("Bring your own triplets", anchor=ANCHOR)
    if not visitors.visitor().is_at_least("student"):
        st.caption("On this shared server, data is added by students and teachers.")
        return
    st.caption(upload_words.ABOUT)
    with shell.told("Files cannot be read"):
        limits = upload_words.limits(st.get_option("server.maxUploadSize"))
        dropped = st.file_uploader(
            "Files of triplets",
            accept_multiple_files=True,
            key=f"upload_files_{st.session_state.setdefault(_ROUND, 0)}",
            help=upload_words.FORMS,
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.download_button(
                "A sample file",
                upload_words.SAMPLE,
                file_name="sample.tsv",
                mime="text/tab-separated-values",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
                help="What a file should look like. Drop it here to see what happens next.",
            )
            st.caption(limits, help=upload_words.more(), width="content")
        _look(dropped)


def _look(dropped: Sequence[UploadedFile]) -> None:
    """What the files hold that lie on the panel, or what was kept of them."""
    shell.when_left(upload_reading.leave)
    places = upload_reading.in_use([file.name for file in dropped], upload_reading.numbered(dropped))
    if not places:
        upload_process.warm_up()
        upload_reading.forget()
        _kept()
        return
    st.session_state.pop(upload_reading.KEPT, None)
    files = [dropped[place] for place in places]
    names = [file.name for file in files]
    if replaced := [file.name for place, file in enumerate(dropped) if place not in places]:
        st.caption(upload_words.replaced(replaced, names))
    columns = replace(
        upload_columns.said(names),
        leave_out=upload_faults.left_out(files),
        encoding=upload_encoding.said(files),
    )
    try:
        reading = upload_reading.read(files, st.session_state.get(_SEED, 0), columns)
    except EncodingError as error:
        st.error(sentence(error.problem, 500), icon=":material/error:")
        upload_encoding.ask()
        return
    except BadLinesError as error:
        upload_faults.ask(files, error)
        upload_columns.ask(upload_reading.first_rows(), asked=not error.few)
        return
    except InputError as error:
        st.error(sentence(error, 500), icon=":material/error:")
        upload_columns.ask(upload_reading.first_rows(), asked=True)
        return
    if columns.encoding:
        upload_encoding.ask()
    for doubt in reading.doubts:
        st.warning(f"{sentence(doubt, 500)} Say below which it is.", icon=":material/help:")
    _show(names, reading)
    upload_columns.ask(upload_reading.first_rows(), asked=bool(reading.doubts))


# --- what was read ---------------------------------------------------------------------------------------------


def _show(names: Sequence[str], reading: Reading) -> None:
    st.markdown(upload_words.headline(reading))
    st.caption(" ".join(sentence(note, 500) for note in (f"read as: {reading.way}", *reading.notes)))
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("**The first triplets**")
        st.dataframe(
            [dict(zip(("head", "relation", "tail"), row, strict=True)) for row in reading.rows],
            hide_index=True,
            height="content",
            column_config={
                "head": st.column_config.TextColumn("Head", width="small"),
                "relation": st.column_config.TextColumn("Relation", width="small"),
                "tail": st.column_config.TextColumn("Tail", width="small"),
            },
            alt=f"The first {len(reading.rows)} triplets of the file, as head, relation and tail.",
        )
    with right:
        _split(reading)
        _name_and_keep(names, reading)
    _findings(reading)


def _split(reading: Reading) -> None:
    if reading.split_seed is None:
        st.markdown("**Split as in the files**")
        st.markdown(upload_words.shares(reading.sizes))
        return
    st.number_input(
        "Split seed",
        min_value=0,
        max_value=upload_reading.MOST_SEED,
        step=1,
        key=_SEED,
        help="Which triplets go to valid and test. The same seed gives the same split everywhere, whatever the order "
        "of the lines.",
    )
    st.caption(f"{upload_words.shares(reading.sizes)}: {upload_words.SPLIT_HERE}")


def _findings(reading: Reading) -> None:
    if not reading.findings:
        st.markdown(upload_words.NOTHING_ODD)
        return
    st.markdown("**Know before you train on it**")
    for finding in reading.findings:
        icon = ":orange[:material/warning:]" if finding.severity == "caution" else ":material/info:"
        st.markdown(
            f"{icon} {markdown_text(finding.sentence, 600)}  \n:small[{markdown_text(finding.why, 400)}]"
        )


# --- keeping ---------------------------------------------------------------------------------------------------


def _name_and_keep(names: Sequence[str], reading: Reading) -> None:
    state = st.session_state
    if state.get(_NAME_OF) != names or _NAME not in state:
        state[_NAME_OF] = names
        state[_NAME] = suggested(reading.name)
    typed = st.text_input(
        "Name",
        key=_NAME,
        live=True,
        help="What the data set is called from now on, on every screen and in the terminal.",
    )
    name = own.mended(typed) or typed
    problem = own.name_error(name)
    if problem:
        st.caption(f":red[{sentence(problem)}]")
    elif name != typed:
        st.caption(f"It will be called **{markdown_text(name)}**: small letters, digits and “-”.")
    if st.button("Keep this data set", type="primary", icon=":material/save:", disabled=bool(problem)):
        _keep(reading, name, ", ".join(names))


def suggested(title: str) -> str:
    """A name that is free, made of what the files are called."""
    name = own.suggested_name(title)
    numbered = (f"{name[:36]}-{number}" for number in range(2, 1000))
    return next((free for free in (name, *numbered) if own.name_error(free) is None), name)


def _keep(reading: Reading, name: str, original: str) -> None:
    """Write the data set and have the screen show it, or say why it cannot be written."""
    try:
        with st.spinner("Keeping it …", show_time=True):
            keeping.add_data(reading.dataset, name, original)
    except InputError as error:
        st.error(sentence(error, 500), icon=":material/error:")
        return
    # Another data set may have had this name before.
    graph.forget(name)
    upload_reading.leave()
    st.session_state[upload_reading.KEPT] = name
    st.session_state[_ROUND] += 1
    Address("data", "").choose("data", name)
    st.rerun()


def _kept() -> None:
    name = st.session_state.get(upload_reading.KEPT)
    if name is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.success(
            f"**{markdown_text(name)}** is kept. It is shown above, and every screen knows it now.",
            icon=":material/check:",
        )
        if st.button("Train on it", type="primary", icon=":material/play_arrow:", key="upload_train"):
            shell.train_on(name)
