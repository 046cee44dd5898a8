"""Named bookmarks of views: kept beside the runs, so that every browser of this server has them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import filelock
import streamlit as st
from pydantic import Field, field_validator

from dans_app.shared.words import markdown_text, sentence
from dans_data.errors import InputError
from dans_data.words import visible_text
from dans_lab.runs.records import Record, read, replace, to_json
from dans_lab.runs.run import runs_dir

MOST = 200
"""Bookmarks that are kept."""

LONGEST_NAME = 80
_LONGEST_QUERY = 4_000
_LARGEST_FILE = 2_000_000

TICKET = "view"
"""Query key of a bookmark's link: it tells the session that all it remembers of other views gives way, once."""

OWN = ("answers", "round", "said")
"""Query keys of what a person has answered: they survive a reload, and whoever gets the link answers for themselves."""

_ARRIVALS = "bookmarks_arrivals"
_SAID = "bookmarks_said"
_PATIENCE = 2.0
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PAGE = re.compile(r"[a-z0-9_-]{0,40}")

Pairs = list[tuple[str, str]]


class Bookmark(Record):
    """A view: its name, the path of its page ("" is the first) and the query string of its address."""

    name: str
    page: str
    query: str

    @field_validator("name")
    @classmethod
    def _is_name(cls, text: str) -> str:
        if problem := name_error(text):
            raise ValueError(problem)
        return text

    @field_validator("page")
    @classmethod
    def _is_page(cls, text: str) -> str:
        if not _PAGE.fullmatch(text):
            raise ValueError("is not the path of a page")
        return text

    @field_validator("query")
    @classmethod
    def _is_query(cls, text: str) -> str:
        if len(text) > _LONGEST_QUERY or encoded(decoded(text)) != text:
            raise ValueError("is not the query of an address")
        return text

    @property
    def pairs(self) -> Pairs:
        """The query as keys and values."""
        return decoded(self.query)


class _File(Record):
    bookmarks: tuple[Bookmark, ...] = Field(max_length=MOST)


# --- the file ----------------------------------------------------------------------------------------------------


def path() -> Path:
    """Where they are kept."""
    return runs_dir() / ".bookmarks.json"


def load() -> dict[str, Bookmark]:
    """All bookmarks by name, in the order of their making. Raises InputError, in words, for a damaged file."""
    file = path()
    try:
        if not file.exists():
            return {}
        if file.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{file} is too large to be a file of bookmarks")
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror})") from None
    return {bookmark.name: bookmark for bookmark in read(file, _File).bookmarks}


def save(name: str, page: str, query: Pairs) -> bool:
    """Keep a view under a name; whether it took the place of another. Raises InputError where it cannot be kept."""
    text = encoded(query)
    if len(text) > _LONGEST_QUERY:
        raise InputError(
            f"the address of this view is longer than {_LONGEST_QUERY:,} characters, so it is not kept"
        )
    bookmark = Bookmark(name=_usable(name), page=page, query=text)
    replaced = False

    def put(kept: dict[str, Bookmark]) -> None:
        nonlocal replaced
        replaced = kept.pop(bookmark.name, None) is not None
        if len(kept) >= MOST:
            raise InputError(f"there are {MOST} bookmarks, the most that are kept; delete one first")
        kept[bookmark.name] = bookmark

    _change(put)
    return replaced


def rename(old: str, new: str) -> None:
    """Give a bookmark another name, in its place. Raises InputError if there is none, or another has the new name."""
    new = _usable(new)

    def put(kept: dict[str, Bookmark]) -> None:
        if old not in kept:
            raise InputError(f"there is no bookmark “{old}” any more")
        if new in kept and new != old:
            raise InputError(f"there is a bookmark “{new}” already")
        found = [
            bookmark.model_copy(update={"name": new}) if bookmark.name == old else bookmark
            for bookmark in kept.values()
        ]
        kept.clear()
        kept.update({bookmark.name: bookmark for bookmark in found})

    _change(put)


def delete(name: str) -> None:
    """Remove a bookmark; one that is gone already is no mistake."""
    _change(lambda kept: kept.pop(name, None))


def _usable(name: str) -> str:
    name = visible_text(name)
    if problem := name_error(name):
        raise InputError(f"the name {problem}")
    return name


def name_error(name: str) -> str | None:
    """What is wrong with the name of a bookmark, or None."""
    if not name:
        return "is empty"
    if len(name) > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} characters"
    return None if name == visible_text(name) else "holds something that cannot be seen"


def pairs() -> Pairs:
    """The keys and values of the address of what is on the screen, without what is a person's own."""
    query = st.query_params
    return [(key, value) for key in query for value in query.get_all(key) if key not in (TICKET, *OWN)]


def encoded(query: Pairs) -> str:
    """The query string of these keys and values; keys that no page has are left out."""
    return urlencode([(key, value) for key, value in query if _KEY.fullmatch(key) and key != TICKET])


def decoded(query: str) -> Pairs:
    """The keys and values of a query string."""
    return parse_qsl(query, keep_blank_values=True)


def _change(change: Callable[[dict[str, Bookmark]], object]) -> None:
    """Read, change and replace the file; a damaged one stays as it is."""
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(file.with_suffix(".lock"), timeout=_PATIENCE):
            kept = load()
            change(kept)
            replace(file, to_json(_File(bookmarks=tuple(kept.values()))))
    except filelock.Timeout:
        raise InputError("another person is changing the bookmarks; try again") from None
    except OSError as error:
        raise InputError(f"{file} cannot be written ({error.strerror})") from None


# --- the list on the screen ----------------------------------------------------------------------------------------


def arrives() -> bool:
    """Whether this run of the app is the first of a view opened by its bookmark; for `shell.navigate`.

    A browser may send an address again with a tick that is under way, so each link counts once.
    """
    ticket = st.query_params.get(TICKET)
    if ticket is None:
        return False
    del st.query_params[TICKET]
    if ticket != _next_ticket():
        return False
    st.session_state[_ARRIVALS] = int(ticket)
    return True


def show(pages: Mapping[str, st.Page], here: str) -> None:
    """The list, and what adds this view to it; `pages` by path, `here` the path of the page it stands on."""
    if said := st.session_state.pop(_SAID, ""):
        st.caption(said)
    try:
        kept = load()
    except InputError as error:
        st.warning(
            f"The bookmarks cannot be read, and are left as they are: {markdown_text(str(error), 300)}.",
            icon=":material/bookmark_remove:",
        )
        return
    _add(here)
    if not kept:
        st.caption("No bookmarks yet. They are kept in the runs folder, for every browser of this server.")
        return
    with st.container(gap="xsmall", height=320 if len(kept) > 8 else "content"):
        for bookmark in reversed(kept.values()):
            _link(bookmark, pages.get(bookmark.page))
    _change_one(kept)


def _add(here: str) -> None:
    def add() -> None:
        name = st.session_state["bookmark_name"]
        done = "Replaced" if save(name, here, pairs()) else "Added"
        _say(f"{done} “{markdown_text(visible_text(name), LONGEST_NAME)}”.")

    with st.form("bookmark", border=False, clear_on_submit=True):
        st.text_input(
            "Name of this view",
            key="bookmark_name",
            max_chars=LONGEST_NAME,
            help="Kept are the page and all of its address: the run, and what you chose.",
        )
        st.form_submit_button(
            "Bookmark this view", icon=":material/bookmark_add:", on_click=_told, args=(add,)
        )


def _link(bookmark: Bookmark, page: st.Page | None) -> None:
    label = markdown_text(bookmark.name, LONGEST_NAME)
    if page is None:
        st.caption(f"{label}: its page “{markdown_text(bookmark.page)}” is not in this version.")
        return
    shown = ", ".join(f"{key} = {value}" for key, value in bookmark.pairs)
    st.page_link(
        page,
        label=label,
        icon=page.icon,
        width="stretch",
        help=markdown_text(f"{page.title}: {shown}", 300),
        query_params=[*bookmark.pairs, (TICKET, _next_ticket())],
    )


def _change_one(kept: dict[str, Bookmark]) -> None:
    state, choice = st.session_state, "bookmark_chosen"
    chosen = st.selectbox(
        "Rename or delete", list(reversed(kept)), index=None, placeholder="Choose a bookmark", key=choice
    )
    if chosen is None:
        return
    new_name = f"bookmark_rename_{zlib.crc32(chosen.encode()):x}"

    def put() -> None:
        rename(chosen, state[new_name])
        state[choice] = None
        now = visible_text(state[new_name])
        _say(f"“{markdown_text(chosen, LONGEST_NAME)}” is now “{markdown_text(now, LONGEST_NAME)}”.")

    def remove() -> None:
        delete(chosen)
        state[choice] = None
        _say(f"Deleted “{markdown_text(chosen, LONGEST_NAME)}”.")

    st.text_input("New name", chosen, key=new_name, max_chars=LONGEST_NAME)
    with st.container(horizontal=True):
        st.button("Rename", icon=":material/edit:", on_click=_told, args=(put,))
        st.button("Delete", icon=":material/delete:", on_click=_told, args=(remove,))


def _told(action: Callable[[], None]) -> None:
    """Do it; a mistake is told in one sentence the next time the list is shown."""
    try:
        action()
    except InputError as error:
        _say(sentence(error), ":material/error:")


def _say(words: str, icon: str = ":material/check:") -> None:
    st.session_state[_SAID] = f"{icon} {words}"


def _next_ticket() -> str:
    return str(st.session_state.get(_ARRIVALS, 0) + 1)
