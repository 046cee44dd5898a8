"""From the files that a person dropped to what the panel shows of them: which count, what they hold, what to know.

What was read is kept in the session under the hash of its content: a click parses nothing twice, and it goes when the
files do. Nothing is written.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from dans_app.data import upload_process
from dans_app.data.upload_process import File, Reading
from dans_data import naming
from dans_data.columns import Columns
from dans_data.errors import InputError
from dans_data.words import bytes_in_words

MOST_SEED = 2**31 - 1
USUAL_NAME = "my-triplets"

KEPT = "upload_kept"
"""Session key: the name of the data set that was kept on this visit of the screen."""

_READ = "upload_read"
"""Session key: what was read last, with the key that says of what."""


_DROPS = "upload_drops"
"""Session key: which file came with which drop."""


def in_use(names: Sequence[str], drops: Sequence[int]) -> list[int]:
    """Places of the files that count, of some in the order of their coming; `drops` numbers what came together.

    Files named after a split, and dictionaries of ids, stay beside one another, the newest of each. Any other file
    takes the place of all that came before it, but never of one that came together with it.
    """
    found: list[int] = []
    for drop in sorted(set(drops)):
        new = [place for place, number in enumerate(drops) if number == drop]
        if any(_role(names[place]) is None for place in new):
            found = new
        else:
            roles = {_role(names[place]): place for place in new}
            found = [place for place in found if _role(names[place]) not in (None, *roles)] + [
                *roles.values()
            ]
    return sorted(found)


def numbered(files: Sequence[UploadedFile]) -> list[int]:
    """For each file a number that those have in common which came together."""
    # Whoever drops the same file again gets a second one.
    times: Counter[tuple[str, int]] = Counter()
    keys = []
    for file in files:
        times[file.name, file.size] += 1
        keys.append((file.name, file.size, times[file.name, file.size]))
    before: dict[tuple[str, int, int], int] = st.session_state.get(_DROPS, {})
    new = max(before.values(), default=0) + 1
    st.session_state[_DROPS] = now = {key: before.get(key, new) for key in keys}
    return list(now.values())


def _role(name: str) -> str | None:
    return naming.split_of(name) or naming.dictionary_of(name)


def read(files: Sequence[UploadedFile], seed: int, columns: Columns) -> Reading:
    """What these files hold, one file split by `seed`, with columns as a person says; at once if read before.

    Raises InputError, in one sentence, where they cannot be read as one data set.
    """
    asked: tuple[int | str, ...] = (seed, str(columns), *(file.file_id for file in files))
    kept: _Kept | None = st.session_state.get(_READ)
    if kept is None or kept.asked != asked:
        content = [(file.name, file.getvalue()) for file in files]
        digest = _digest(content, f"{seed} {columns}")
        if kept is None or kept.digest != digest:
            # What was read before may be large: it goes before there is more.
            kept = None
            forget()
            with st.spinner(
                f"Reading {bytes_in_words(sum(len(data) for _, data in content))} …", show_time=True
            ):
                title = title_of([file.name for file in files])
                kept = _Kept(asked, digest, *upload_process.read(content, title, seed, columns))
        st.session_state[_READ] = kept = replace(kept, asked=asked)
    if isinstance(kept.answer, InputError):
        # Else each time that it is raised again adds to what it holds of the stack.
        raise kept.answer.with_traceback(None)
    return kept.answer


def first_rows() -> list[list[str]]:
    """The first rows of the table that was read last, or could not be read, as they stand; none of another form."""
    kept: _Kept | None = st.session_state.get(_READ)
    return kept.rows if kept else []


def forget() -> None:
    """Let go of what was read last."""
    st.session_state.pop(_READ, None)


def leave() -> None:
    """Let go of the files, too, for when they are kept and when the person goes to another screen."""
    forget()
    st.session_state.pop(KEPT, None)
    context = get_script_run_ctx()
    # Else Streamlit holds them in memory until the session ends.
    if context is not None:
        context.uploaded_file_mgr.remove_session_files(context.session_id)


@dataclass(frozen=True, eq=False)
class _Kept:
    """An answer, or why there is none, of files by their ids, which Streamlit gives, and by their content.

    `rows` are the first ones of a table as they stand, for a person to say which column is which.
    """

    asked: tuple[int | str, ...]
    digest: str
    answer: Reading | InputError
    rows: list[list[str]]


def title_of(names: Sequence[str]) -> str:
    """What the files of one data set are called together."""
    return naming.title(names[0]) if len(names) == 1 and naming.split_of(names[0]) is None else USUAL_NAME


def _digest(files: Sequence[File], how: str) -> str:
    digest = hashlib.sha256(how.encode())
    for name, data in files:
        for part in (name.encode(errors="replace"), data):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()
