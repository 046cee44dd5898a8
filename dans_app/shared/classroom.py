"""What a teacher's link hides, and the task it sets: read from the address once, and kept there on every screen.

`?hide=menu,run&task=…` hides nothing that is secret: whoever takes it out of the address sees all again. Nothing in it
is run, and the task is plain text of bounded length.
"""

from __future__ import annotations

import html
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

import streamlit as st

from dans_app.shared.words import markdown_text
from dans_data.words import listed

PARTS = {
    "menu": "List of screens",
    "run": "Choice of a run",
    "settings": "New runs",
    "controls": "Pause and stop",
    "health": "Warnings",
    "game": "Choice of game",
    "tools": "Share and bookmarks",
    "downloads": "Downloads",
}
"""What can be hidden, by its name in the address, in words; docs/teaching.md says what each is."""

LONGEST_TASK = 300
"""Characters of a task; of a longer one in an address, the beginning is shown."""

_VIEW = "dans_classroom"
"""Session key: what the address said when the session began."""


@dataclass(frozen=True)
class Classroom:
    """What a link asks for: the names of the hidden parts, the task, and what cannot be hidden, as a sentence."""

    hidden: frozenset[str] = frozenset()
    task: str = ""
    problem: str | None = None


def read(hide: str | None, task: str | None) -> Classroom:
    """What these texts of an address ask for; they are of unknown origin."""
    asked = [part for part in (hide or "")[:400].split(",") if part]
    unknown = [part for part in asked if part not in PARTS]
    problem = None
    if unknown:
        shown = markdown_text(unknown[0], 30)
        problem = f"The address asks to hide “{shown}”; what can be hidden is {listed(list(PARTS))}."
    return Classroom(frozenset(asked) & PARTS.keys(), " ".join((task or "")[:LONGEST_TASK].split()), problem)


def keep(anew: bool = False) -> None:
    """Read the address at the beginning of a session, or `anew`; afterwards put back what a menu took out of it."""
    if anew or _VIEW not in st.session_state:
        st.session_state[_VIEW] = read(st.query_params.get("hide"), st.query_params.get("task"))
    for name, value in _pairs(now().hidden, now().task):
        if st.query_params.get(name) != value:
            st.query_params[name] = value


def now() -> Classroom:
    """What this session hides."""
    found: Classroom = st.session_state.get(_VIEW, Classroom())
    return found


def hides(part: str) -> bool:
    """Whether this part of the screens is hidden."""
    assert part in PARTS, part
    return part in now().hidden


def announce() -> None:
    """The task, and what is wrong with what the link hides, to stand under the title of a screen."""
    view = now()
    if view.problem:
        st.warning(view.problem, icon=":material/link_off:")
    if view.task:
        st.info(f"**Task** · {markdown_text(view.task, LONGEST_TASK)}", icon=":material/assignment:")


# --- making one --------------------------------------------------------------------------------------------------


def link(address: str, hidden: Collection[str], task: str, embed: bool = False) -> str:
    """This address of a view, with what is hidden and the task; `embed` leaves the frame of the app out."""
    url = urlsplit(address)
    kept = [(key, value) for key, value in parse_qsl(url.query, keep_blank_values=True) if key not in _OURS]
    pairs = [*kept, *_pairs(hidden, " ".join(task.split())[:LONGEST_TASK])]
    return url._replace(query=urlencode([*pairs, ("embed", "true")] if embed else pairs)).geturl()


_OURS = ("hide", "task", "embed")


def _pairs(hidden: Collection[str], task: str) -> list[tuple[str, str]]:
    hide = ",".join(part for part in PARTS if part in hidden)
    return [(name, value) for name, value in (("hide", hide), ("task", task)) if value]


def snippet(address: str) -> str:
    """HTML that shows this address inside another page."""
    return (
        f'<iframe src="{html.escape(address)}" title="DANS Lab" width="100%" height="720" style="border: 0" '
        'allow="clipboard-write"></iframe>'
    )


def parts(label: str, key: str) -> list[str]:
    """A choice of what is hidden."""
    return st.pills(
        label,
        list(PARTS),
        selection_mode="multi",
        format_func=PARTS.__getitem__,
        key=key,
        help="Nothing of it is secret: whoever takes “hide” out of the address sees all again.",
    )


def form(address: str) -> None:
    """Choose what is hidden and set a task; the link for students and the HTML to embed follow."""
    hidden = parts("Hidden", "classroom_hidden")
    task = st.text_area(
        "Task",
        key="classroom_task",
        max_chars=LONGEST_TASK,
        height=90,
        placeholder="Which epoch shows a collapse? How do you know?",
        help="Plain text, shown on every screen.",
    )
    st.markdown("**Link for students**")
    st.code(link(address, hidden, task or ""), language=None, wrap_lines=True)
    st.markdown("**To embed in a page**")
    st.code(snippet(link(address, hidden, task or "", embed=True)), language="html", wrap_lines=True)
    st.caption("Both open this view as it is now, where a browser reaches this server.")
