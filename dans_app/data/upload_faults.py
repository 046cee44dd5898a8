"""The part of the upload panel that lists all lines that are no triplets, and offers to leave them out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from dans_app.shared.words import sentence
from dans_data import naming
from dans_data.faults import BadLinesError
from dans_data.words import count, plural

_MOST_SHOWN = 8
"""Lines in the table before it scrolls."""

_LEFT_OUT = "upload_left_out"
"""Session key: the files of which it was said that such lines are left out."""


def left_out(files: Sequence[UploadedFile]) -> bool:
    """Whether it was said of these files that lines that are no triplets are left out."""
    return st.session_state.get(_LEFT_OUT) == _ids(files)


def ask(files: Sequence[UploadedFile], error: BadLinesError) -> None:
    """What is wrong, line by line, and a button that leaves these lines out where they are the fewer."""
    if error.count == 1:
        st.error(sentence(error, 500), icon=":material/error:")
    else:
        st.error(headline(error), icon=":material/error:")
        several = len({fault.where for fault in error.faults}) > 1
        st.dataframe(
            [
                ({"File": naming.base(fault.where)} if several else {})
                | {"Line": fault.line, "What is wrong": fault.problem}
                for fault in error.faults
            ],
            hide_index=True,
            height="content" if len(error.faults) <= _MOST_SHOWN else 320,
            column_config={
                "Line": st.column_config.NumberColumn(width=70, format="%d"),
                "What is wrong": st.column_config.TextColumn(width=1000),
            },
            alt="The lines that are no triplets, and what is wrong with each.",
        )
    if error.few:
        st.button(
            f"Leave {plural(error.count, 'this line', f'these {error.count:,} lines')} out",
            icon=":material/playlist_remove:",
            on_click=partial(st.session_state.__setitem__, _LEFT_OUT, _ids(files)),
            help="The other lines are read. What was left out is noted with the data set.",
        )


def headline(error: BadLinesError) -> str:
    """How many lines are none, of how many."""
    shown = f" The first {len(error.faults)} are listed." if error.count > len(error.faults) else ""
    hint = "" if error.few else " These are most of the lines, so the file may be of another form."
    return f"{count(error.count, 'line')} are no triplets; {error.read:,} are.{shown}{hint}"


def _ids(files: Sequence[UploadedFile]) -> list[str]:
    return [file.file_id for file in files]
