"""A field that finds an entity by its name as one types, for graphs with too many for a list.

The browser never holds more than a screenful of names: it sends what is typed, and gets the first that match.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import streamlit as st

from dans_app.shared import components, name_index, url_values
from dans_core.kg import KnowledgeGraph

LARGE = 2_000
"""Entities from which on a screen has this field instead of a list of all of them."""

MOST = 20
"""Names offered at a time."""

_SCRIPT = Path(__file__).parent / "name_search.js"


def entity_search(
    label: str,
    kg: KnowledgeGraph,
    value: str | None,
    key: str,
    help: str = "",
    on_pick: Callable[[str], object] | None = None,
    offers: Mapping[str, str] | None = None,
    part: bool = False,
) -> str | None:
    """A field to find an entity in; the name that was just picked, else `value`.

    `value` is the name that it shows. A pick runs the whole page again: `on_pick` is called with the name before, as
    the callback of a widget, and the answer is the name in that one run, for the page to keep. `offers` are names with
    a word on each ("" for none): they stand first, and are shown before anything is typed. With `part`, what was typed
    can be picked as well, to mean all that match it, and nothing at all to mean none; the page has to check it.
    """
    slot = f"{key}_just_picked"
    picked = st.session_state.pop(slot, None)
    shown = value if picked is None else picked
    _field(label, kg, shown, key, slot, help, on_pick, offers or {}, part)
    return shown


# A fragment, so that a keystroke asks for names and does not draw the page anew.
@st.fragment
def _field(
    label: str,
    kg: KnowledgeGraph,
    value: str | None,
    key: str,
    slot: str,
    help: str,
    on_pick: Callable[[str], object] | None,
    offers: Mapping[str, str],
    part: bool,
) -> None:
    if slot in st.session_state:
        st.rerun()

    def pick() -> None:
        name = components.told(key, "picked")
        # It comes from a browser, so it need not be one of those offered.
        if isinstance(name, str) and (part or url_values.entity_number(name, kg) is not None):
            name = name[: name_index.LONGEST]
            st.session_state[slot] = name
            if on_pick:
                on_pick(name)

    typed = components.told(key, "typed")
    typed = typed[: name_index.LONGEST] if isinstance(typed, str) else ""
    names = suggestions(kg, typed, offers)
    data = {
        "label": label,
        "help": help,
        "value": value or "",
        "typed": typed,
        "names": [[name, offers.get(name, "")] for name in names[:MOST]],
        "more": len(names) > MOST,
        "total": kg.num_entities,
        "part": part,
    }
    components.draw(
        _SCRIPT, data, key, default={"typed": ""}, on_typed_change=lambda: None, on_picked_change=pick
    )


def suggestions(kg: KnowledgeGraph, typed: str, offers: Mapping[str, str]) -> list[str]:
    """Names for what is typed, at most one more than are shown: offered ones first, or alone where nothing is typed."""
    if not typed.strip():
        return list(offers)[: MOST + 1]
    part = name_index.fold(typed.strip())
    found = dict.fromkeys(name for name in offers if part in name_index.fold(name))
    ids = name_index.of_entities(kg).find(typed, MOST + 1)
    return list(found | dict.fromkeys(kg.entities[number] for number in ids))[: MOST + 1]
