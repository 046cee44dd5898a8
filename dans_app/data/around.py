"""The network around one entity: what is drawn of it, the component that draws it, and the way one came."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from dans_app.shared import components, theme
from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS
from dans_lab.survey import Neighbourhood

MOST_DRAWN = 40
"""Triplets in the drawing; with more, names would lie upon one another."""

MOST_LISTED = 500
"""Triplets in the table."""

LONGEST_TRAIL = 6

_COLORS = [
    look.color
    for look in (theme.G_R, theme.G_E, theme.POSITIVE, theme.D_ADV, theme.D_AUX, theme.SAMPLER, theme.RANDOM)
]
_DASHES = ["", "7 3", "2 3", "10 3 2 3"]
_SCRIPT = Path(__file__).parent / "data_around.js"


def scene(kg: KnowledgeGraph, found: Neighbourhood) -> dict[str, Any]:
    """What the component draws: groups by relation and direction, each with its neighbours, and links between these.

    Relations are coloured by how many triplets they have here, the most frequent first; when colours are used up, they
    come again with another dash.
    """
    counts: dict[tuple[int, bool], int] = {}
    for (relation, out, _), count in found.totals.items():
        counts[relation, out] = counts.get((relation, out), 0) + count
    of_relation: dict[int, int] = {}
    for (relation, _), count in counts.items():
        of_relation[relation] = of_relation.get(relation, 0) + count
    order = sorted(of_relation, key=lambda relation: (-of_relation[relation], relation))
    place = {relation: at for at, relation in enumerate(order)}
    items: dict[tuple[int, bool], list[dict[str, Any]]] = {}
    for link in found.first:
        out = link.head == found.entity
        other = link.tail if out else link.head
        items.setdefault((link.relation, out), []).append(
            {"id": other, "name": kg.entities[other], "split": link.split}
        )
    groups: list[dict[str, Any]] = [
        {
            "relation": kg.relations[relation],
            "out": out,
            "color": _COLORS[place[relation] % len(_COLORS)],
            "dash": _DASHES[place[relation] // len(_COLORS) % len(_DASHES)],
            "total": counts[relation, out],
            "items": items[relation, out],
        }
        # What goes out on the right, what comes in on the left, when drawn clockwise from the top.
        for relation, out in sorted(
            items, key=lambda key: (not key[1], place[key[0]] * (1 if key[1] else -1))
        )
    ]
    first = {item["id"] for group in groups for item in group["items"]} - {found.entity}
    further = []
    for link in found.second:
        out = link.head in first
        near, far = (link.head, link.tail) if out else (link.tail, link.head)
        words = f"{kg.entities[link.head]} – {kg.relations[link.relation]} → {kg.entities[link.tail]} ({link.split})"
        further.append({"near": near, "id": far, "name": kg.entities[far], "words": words})
    return {
        "entity": found.entity,
        "name": kg.entities[found.entity],
        "groups": groups,
        "further": further,
        "alt": alt(kg, found),
        "splits": list(SPLITS),
    }


def alt(kg: KnowledgeGraph, found: Neighbourhood) -> str:
    """The drawing in a sentence."""
    relations = {relation for relation, _, _ in found.totals}
    drawn = f"{len(found.first):,} of {found.total:,} triplets" if found.total else "no triplet"
    more = f", and {len(found.second):,} of {found.further:,} one step further" if found.further else ""
    return f"The network around {kg.entities[found.entity][:80]}: {drawn}, by {len(relations):,} relations{more}."


def show(data: dict[str, Any], key: str, on_pick: Callable[[], None]) -> None:
    """Draw the network; a pressed neighbour is then `picked`."""
    # The browser draws it after the rest of the screen; without its room, what stands below would be pushed away.
    legend = min(190, 26 * -(-len(data["groups"]) // 2))
    st.html(
        f"<style>.st-key-{key} {{ min-height: min(36rem, 100vh - 240px); }} "
        f"@media (max-width: 640px) {{ .st-key-{key} {{ min-height: calc(100vw + {legend + 28}px); }} }}</style>"
    )
    components.draw(_SCRIPT, data, key, on_picked_change=on_pick)


def picked(key: str, kg: KnowledgeGraph) -> int | None:
    """The entity that was just pressed; it comes from a browser, so it is checked."""
    number = components.told(key, "picked")
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < kg.num_entities:
        return number
    return None


def trail(kg: KnowledgeGraph, entity: int) -> list[int]:
    """The entities visited on the way, this one last; going back to one of them forgets those after it."""
    key = f"data_trail_{kg.hash[:16]}"
    came: list[int] = st.session_state.get(key, [])
    came = came[: came.index(entity)] if entity in came else came
    st.session_state[key] = [*came, entity][-LONGEST_TRAIL:]
    return st.session_state[key]
