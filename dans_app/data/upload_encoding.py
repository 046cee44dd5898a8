"""The part of the upload panel that asks how text is encoded that is not UTF-8."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

_OF = "upload_encoding_of"
"""Session key: of which files it was said."""

_KEY = "upload_encoding"

ENCODINGS = {
    "windows-1252": "Windows-1252: Western Europe, as Excel saves CSV",
    "windows-1250": "Windows-1250: Central Europe",
    "windows-1251": "Windows-1251: Cyrillic",
    "iso-8859-15": "ISO-8859-15: Western Europe",
    "mac_roman": "Mac Roman",
    "shift_jis": "Shift JIS: Japanese",
    "gb18030": "GB 18030: Chinese",
    "euc_kr": "EUC-KR: Korean",
    "utf-16": "UTF-16",
}
"""What is offered, and what it is for."""


def said(files: Sequence[UploadedFile]) -> str | None:
    """How these files are encoded, if that was said of them."""
    ids = [file.file_id for file in files]
    state = st.session_state
    if state.get(_OF) != ids:
        state[_OF] = ids
        state.pop(_KEY, None)
    elif _KEY in state:
        # Else Streamlit forgets it where the choice is not drawn, as while lines are complained of.
        state[_KEY] = state[_KEY]
    return state.get(_KEY)


_LIKELY = "windows-1252"


def ask() -> None:
    """A choice of encodings; none is chosen at first, since many fit and one is right. The likeliest is one click."""
    if st.session_state.get(_KEY) is None:
        st.button(
            "Read it as Excel saves CSV in Western Europe",
            icon=":material/table_view:",
            type="primary",
            on_click=lambda: st.session_state.update({_KEY: _LIKELY}),
            help="Windows-1252, the encoding of most such files. Look at names with accents then: if they look wrong, "
            "choose another.",
        )
    st.selectbox(
        "The text is encoded as",
        list(ENCODINGS),
        index=None,
        key=_KEY,
        format_func=ENCODINGS.__getitem__,
        placeholder="Choose how to read it",
        width=420,
        help="Many encodings fit a text, and one is right: look at names with accents in the first triplets.",
    )
