"""The part of the upload panel where a person says which columns of a table are head, relation and tail."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dans_app.shared.words import markdown_text
from dans_data.columns import Columns
from dans_data.triplets import ROLES

_FILES = "upload_columns_of"
"""Session key: of which files it was said."""

_HEADER = "upload_header"
_PLACES = {role: f"upload_column_{role}" for role in ROLES}

AS_FOUND = "As found"
NAMES = "Names the columns"
TRIPLET = "Is a triplet"
_HEADERS = {AS_FOUND: None, NAMES: True, TRIPLET: False}

TWICE = ":red[Head, relation and tail are three different columns.]"
MORE = ":red[Choose a column for each of head, relation and tail.]"


def said(names: Sequence[str]) -> Columns:
    """What was said of the columns of these files; nothing of others."""
    state = st.session_state
    if state.get(_FILES) != list(names):
        state[_FILES] = list(names)
        for key in (_HEADER, *_PLACES.values()):
            state.pop(key, None)
    head, relation, tail = (state.get(key) for key in _PLACES.values())
    header = _HEADERS[state.get(_HEADER) or AS_FOUND]
    if head is None or relation is None or tail is None or len({head, relation, tail}) < 3:
        return Columns(None, header)
    return Columns((head, relation, tail), header)


def ask(rows: Sequence[Sequence[str]], asked: bool) -> None:
    """The first rows of the table as they stand, and a choice for each role; open where something is to decide."""
    if not rows:
        return
    width = max(map(len, rows))
    with st.expander("Which columns are which", expanded=asked, icon=":material/view_column:"):
        st.dataframe(
            [{f"Column {at + 1}": row[at] if at < len(row) else "" for at in range(width)} for row in rows],
            hide_index=True,
            height="content",
            alt="The first rows of the file, column by column.",
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            for role, key in _PLACES.items():
                st.selectbox(
                    role.capitalize(),
                    range(width),
                    index=None,
                    key=key,
                    placeholder=AS_FOUND,
                    format_func=lambda at: _named(rows, at),
                    width=190,
                )
        st.segmented_control("The first line", list(_HEADERS), default=AS_FOUND, key=_HEADER, required=True)
        chosen = [st.session_state.get(key) for key in _PLACES.values()]
        if 0 < chosen.count(None) < len(chosen):
            st.caption(MORE)
        elif None not in chosen and len(set(chosen)) < len(chosen):
            st.caption(TWICE)


def _named(rows: Sequence[Sequence[str]], at: int) -> str:
    """A column by its number and what stands in it first."""
    first = next((row[at] for row in rows if at < len(row) and row[at].strip()), "")
    return f"{at + 1}: {markdown_text(first, 30)}" if first else str(at + 1)
