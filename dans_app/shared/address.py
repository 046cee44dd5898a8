"""What a page shows, kept in the URL: read it, check it, and put it back when the person comes by the menu.

Streamlit's own `bind="query-params"` drops a value it does not know without a word. Here a link with a wrong name gets
one sentence. A page reads with `raw`, checks, and writes what it really shows with `keep`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import TypeVar

import streamlit as st

T = TypeVar("T")
Value = TypeVar("Value", bound=str)


class Address:
    """The part of the URL that belongs to one page, remembered in the session for when the menu clears the URL."""

    def __init__(self, page: str, scope: str, part: str = "") -> None:
        """`scope` says what values refer to, such as the data set: in another scope, remembered ones mean nothing.

        Values of one page with another scope go into a `part` of their own.
        """
        self._page, self._part = page, part
        memory = st.session_state.get(self._slot, {})
        if memory.get("scope") != scope:
            # What the URL carries over from the old scope is left there by this page, not asked for by a person.
            for name, value in memory.get("values", {}).items():
                if st.query_params.get(name) == value:
                    del st.query_params[name]
            memory = {"scope": scope, "values": {}, "visit": secrets.token_hex(4)}
            st.session_state[self._slot] = memory
            self.forgive()
        self._memory = memory

    @property
    def _slot(self) -> str:
        return f"address_{self._page}_{self._part}"

    @property
    def _message_slot(self) -> str:
        return f"address_{self._page}_message"

    def raw(self, name: str) -> str | None:
        """What the URL says, else what was shown before; text of unknown origin."""
        return st.query_params.get(name, self._memory["values"].get(name))

    def keep(self, name: str, value: str | None) -> None:
        """Write what is shown to the URL and the memory; None takes it out of both."""
        if value is None:
            self._memory["values"].pop(name, None)
            if name in st.query_params:
                del st.query_params[name]
            return
        self._memory["values"][name] = value
        if st.query_params.get(name) != value:
            st.query_params[name] = value

    def choose(self, name: str, value: str | None) -> None:
        """`keep` for callbacks of widgets: the person has moved on, so an old complaint goes."""
        self.forgive()
        self.keep(name, value)

    def complain(self, message: str) -> None:
        """One sentence about the address, shown until the person chooses something; the first one stands."""
        st.session_state.setdefault(self._message_slot, message)

    def said(self, answer: tuple[T, str | None]) -> T:
        """The value of an answer of `url_values`; its complaint, if any, is kept to be shown."""
        value, problem = answer
        if problem:
            self.complain(problem)
        return value

    def segmented(
        self,
        name: str,
        label: str,
        known: Mapping[Value, str],
        value: Value,
        about: str,
        also: Callable[[], object] | None = None,
    ) -> None:
        """A row of buttons whose choice stands in the URL under `name`, unless it is the first of `known`.

        `known` are values with their words, `about` the help; `also` is done before a choice is kept.
        """
        key = f"{self._page}_{name}"
        default = next(iter(known))
        st.session_state[key] = value

        def changed() -> None:
            if also:
                also()
            picked = st.session_state[key]
            self.choose(name, None if picked == default else picked)

        st.segmented_control(
            label,
            list(known),
            format_func=known.__getitem__,
            key=key,
            required=True,
            on_change=changed,
            help=about,
        )

    def forgive(self) -> None:
        """Take the sentence away."""
        st.session_state.pop(self._message_slot, None)

    @property
    def visit(self) -> str:
        """Another one each time that the address alone says what is shown, such as when a bookmark is opened."""
        return self._memory["visit"]

    @property
    def message(self) -> str | None:
        """The sentence to show, or None."""
        return st.session_state.get(self._message_slot)
