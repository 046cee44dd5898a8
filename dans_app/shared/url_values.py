"""From the text of a URL to what a page can show: a value, and one sentence where the text asks for something else.

A link can carry anything. Nothing here touches Streamlit; the sentences are Markdown with all foreign text made plain.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

import dans_data
from dans_app.shared import shell
from dans_app.shared.words import instead, markdown_text
from dans_core.kg import KnowledgeGraph
from dans_lab.map.relation_view import busiest_relation

Option = TypeVar("Option", bound=str)

_LONGEST_NAME = 120
"""Longer names are not compared with those of the graph: finding alike ones takes time that grows with length."""

LONGEST_SEARCH = 100
"""Characters of a search for entities."""


def relation(text: str | None, kg: KnowledgeGraph) -> tuple[int, str | None]:
    """A relation or reciprocal by name; without one, the relation with the most facts."""
    default = busiest_relation(kg)
    if text is None:
        return default, None
    names = [kg.relation_name(number) for number in range(2 * kg.num_relations)]
    if text in names:
        return names.index(text), None
    shown = f"“{markdown_text(kg.relation_name(default))}”"
    return default, instead(_none_such(kg, "relation", text, kg.relations), shown)


def entity(text: str | None, kg: KnowledgeGraph, role: str) -> tuple[int | None, str | None]:
    """An entity by name; None without one, and a sentence where the graph has none such. `role`: as in "head"."""
    if text is None:
        return None, None
    if (number := entity_number(text, kg)) is not None:
        return number, None
    return None, instead(_none_such(kg, role, text, kg.entities), "another")


def entity_number(name: str, kg: KnowledgeGraph) -> int | None:
    """The id of the entity of exactly this name, if there is one."""
    place = bisect_left(kg.entities, name)
    return place if place < kg.num_entities and kg.entities[place] == name else None


def matching(text: str | None, kg: KnowledgeGraph) -> tuple[list[int], str | None]:
    """Entities by a part of their name, or by a regular expression between slashes; in any case of letters.

    By RE2, whose time grows with the length of a name alone, since an address may carry a pattern made to hang others.
    """
    if not text or not text.strip():
        return [], None
    if len(text) > LONGEST_SEARCH:
        return [], f"A search has at most {LONGEST_SEARCH} characters; this one has {len(text):,}."
    import pyarrow as pa
    from pyarrow import compute

    names = pa.array(kg.entities)
    expression = len(text) > 2 and text.startswith("/") and text.endswith("/")
    try:
        found = (
            compute.match_substring_regex(names, text[1:-1], ignore_case=True)
            if expression
            else compute.match_substring(names, text.strip(), ignore_case=True)
        )
    except pa.ArrowInvalid:
        return [], f"“{markdown_text(text, 40)}” is not a regular expression that can be searched for."
    ids = np.flatnonzero(found.to_numpy(zero_copy_only=False)).tolist()
    if ids:
        return ids, None
    return (
        [],
        f"No entity of {markdown_text(shell.dataset_name(kg.name))} matches “{markdown_text(text, 40)}”.",
    )


@dataclass(frozen=True)
class Triplet:
    """What the page Triplet shows, in the original direction; `side` is the side that negatives replace."""

    head: int
    relation: int
    tail: int
    side: str

    def query(self, kg: KnowledgeGraph) -> tuple[int, int, int]:
        """The same as (head, relation, tail) of a tail query: fake heads are fake tails of the reciprocal."""
        if self.side == "head":
            return self.tail, self.relation + kg.num_relations, self.head
        return self.head, self.relation, self.tail


def triplet(
    head: str | None, relation_name: str | None, tail: str | None, side: str | None, kg: KnowledgeGraph
) -> tuple[Triplet, list[str]]:
    """A triplet from names, any of which may be missing or wrong, and what is wrong.

    Missing parts are filled in with a known fact that fits the others; with nothing given, a test fact is shown. A
    reciprocal relation is turned round: (t, r⁻¹, h) asks for fake heads of (h, r, t).
    """
    side_found, side_problem = one_of(side, "side", ("tail", "head"))
    number: int | None = None
    relation_problem = None
    if relation_name is not None:
        number, relation_problem = relation(relation_name, kg)
        if relation_problem:
            number = None
            relation_problem = instead(_none_such(kg, "relation", relation_name, kg.relations), "another")
        elif number >= kg.num_relations:
            number -= kg.num_relations
            head, tail, side_found = tail, head, "head"
    first, head_problem = entity(head, kg, "head")
    last, tail_problem = entity(tail, kg, "tail")
    problems = [head_problem, relation_problem, tail_problem, side_problem]
    filled = _fill(first, number, last, kg)
    return Triplet(*filled, side_found), [problem for problem in problems if problem]


def _fill(head: int | None, number: int | None, tail: int | None, kg: KnowledgeGraph) -> tuple[int, int, int]:
    """The first fact (test before valid before train) that agrees with most of what is given, which is then put in."""
    if head is not None and number is not None and tail is not None:
        return head, number, tail
    given = (head, number, tail)
    facts = np.concatenate([kg.array(split) for split in reversed(dans_data.SPLITS)])
    agrees = sum(
        (facts[:, column] == part).astype(int) for column, part in enumerate(given) if part is not None
    )
    fact = facts[int(np.argmax(agrees))] if np.ndim(agrees) else facts[0]
    first, second, third = (int(fact[i]) if part is None else part for i, part in enumerate(given))
    return first, second, third


def epoch(text: str | None, epochs: Collection[int]) -> tuple[int | None, str | None]:
    """One of the epochs with a snapshot; None follows the newest."""
    if text is None:
        return None, None
    if len(text) < 10 and text.isascii() and text.isdecimal() and int(text) in epochs:
        return int(text), None
    return (
        None,
        f"This run has no snapshot of epoch “{markdown_text(text, 20)}”; the newest is shown instead.",
    )


def one_of(text: str | None, name: str, options: Sequence[Option]) -> tuple[Option, str | None]:
    """One of the options, the first by default."""
    if text is None:
        return options[0], None
    for option in options:
        if option == text:
            return option, None
    words = " or ".join(options)
    return options[0], f"The address asks for {name} “{markdown_text(text, 30)}”; it can be {words}."


def some_of(
    text: str | None, name: str, options: Sequence[str], default: Sequence[str]
) -> tuple[list[str], str | None]:
    """Names separated by commas, in the order of `options`; "none" and nothing are an empty choice."""
    if text is None:
        return list(default), None
    asked = [part for part in text[:400].split(",") if part and part != "none"]
    unknown = [part for part in asked if part not in options]
    chosen = [option for option in options if option in asked]
    if not unknown:
        return chosen, None
    words = ", ".join(options)
    return chosen or list(
        default
    ), f"There is no {name} “{markdown_text(unknown[0], 30)}”; there are {words}."


def _none_such(kg: KnowledgeGraph, role: str, text: str, names: Sequence[str]) -> str:
    close = dans_data.suggestion(text, names) if len(text) <= _LONGEST_NAME else ""
    data = markdown_text(shell.dataset_name(kg.name))
    return f"{data} has no {role} “{markdown_text(text)}”{markdown_text(close, 160)}"
