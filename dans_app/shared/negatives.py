"""Negatives as rows of a table, on whichever screen: what heads and explains their columns, and D_aux's opinion."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st


def columns() -> dict[str, Any]:
    """The columns that the tables of negatives share, by the name of their figure."""
    column = st.column_config
    return {
        "source": column.TextColumn("Source", help="Who made it."),
        "nearest entity": column.TextColumn(
            "Nearest entity",
            help="The nearest entity by cosine. One that is no fake is an entity itself.",
        ),
        "score": column.NumberColumn(
            "Score", format="%.2f", help="By the decoder: the higher, the more the model believes it."
        ),
        "cosine": column.NumberColumn(
            "Cosine", format="%.2f", help="To the nearest entity; 1 is the same direction."
        ),
        "length": column.NumberColumn(
            "Length",
            format="× %.2f",
            help="Against the median length of an entity. The cosine does not see it.",
        ),
        "D_adv": column.NumberColumn(
            "D_adv", format="%.2f", help="The probability, by D, that it is a real entity."
        ),
        "D_aux": column.TextColumn(
            "D_aux", help="Which pathway D believes made this fake, and how sure it is."
        ),
        "known fact": column.TextColumn(
            "Known fact", help="The split in which it is a fact with its nearest entity: a false negative."
        ),
    }


def against(what: str, of: str) -> Any:
    """The column of scores minus another score; `what` heads it, `of` says whose score."""
    return st.column_config.NumberColumn(
        what, format="%+.2f", help=f"Score minus {of}. Above 0 the model prefers the negative."
    )


def opinion(made_by_g_r: float | None) -> str:
    """Which pathway D_aux thinks made a fake, and how sure it is: "G_R, 81 %"; a dash for None or NaN."""
    if made_by_g_r is None or math.isnan(made_by_g_r):
        return "–"
    guess, sure = ("G_R", made_by_g_r) if made_by_g_r >= 0.5 else ("G_E", 1 - made_by_g_r)
    return f"{guess}, {100 * sure:.0f} %"
