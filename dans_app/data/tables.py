"""The tables of the Data screen: relations, what one of them holds, and the triplets around an entity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dans_app.shared.words import markdown_text
from dans_core.kg import KnowledgeGraph
from dans_data.known import Ids
from dans_lab.survey import Link, RelationFacts

MOST_RELATIONS = 2_000
"""Rows of the relation table: more would make the page heavy."""

EXAMPLES = 8


def relations(facts: Sequence[RelationFacts], kg: KnowledgeGraph) -> tuple[pd.DataFrame, list[int]]:
    """A row for each relation, those with most triplets first, and the ids of the rows."""
    order = sorted(facts, key=lambda each: (-sum(each.triplets.values()), each.name))[:MOST_RELATIONS]
    rows = pd.DataFrame(
        {
            "relation": [each.name for each in order],
            **{split: [each.triplets[split] for each in order] for split in ("train", "valid", "test")},
            "kind": [each.kind or "not in train" for each in order],
            "tails_per_head": [each.tails_per_head for each in order],
            "heads_per_tail": [each.heads_per_tail for each in order],
            "heads": [each.heads for each in order],
            "tails": [each.tails for each in order],
            "symmetric": [100 * each.symmetric for each in order],
            "loops": [100 * each.loops for each in order],
            "inverse": ["" if each.inverse is None else kg.relations[each.inverse] for each in order],
            "inverse_share": [np.nan if each.inverse is None else 100 * each.inverse_share for each in order],
        }
    )
    return rows, [each.relation for each in order]


def relation_columns() -> dict[str, Any]:
    """Headings and a word on each column."""
    column, number = st.column_config, st.column_config.NumberColumn
    share = "%.0f %%"
    return {
        "relation": column.TextColumn("Relation", pinned=True),
        "train": number("Train", format="localized", help="Train triplets of this relation."),
        "valid": number("Valid", format="localized", help="Valid triplets."),
        "test": number("Test", format="localized", help="Test triplets."),
        "kind": column.TextColumn(
            "Kind",
            help="How many heads stand with a tail, and tails with a head: “many” from 1.5 on average in train.",
        ),
        "tails_per_head": number(
            "Tails per head", format="%.1f", help="Mean over the heads of the relation in train."
        ),
        "heads_per_tail": number(
            "Heads per tail", format="%.1f", help="Mean over the tails of the relation in train."
        ),
        "heads": number("Heads", format="localized", help="Distinct heads in train."),
        "tails": number("Tails", format="localized", help="Distinct tails in train."),
        "symmetric": number(
            "Symmetric",
            format=share,
            help="Of its triplets (h, r, t) in all splits, the share whose reverse (t, r, h) is in one of them, too; "
            "self loops aside.",
        ),
        "loops": number(
            "Self loops", format=share, help="Share of its train triplets whose head is their tail."
        ),
        "inverse": column.TextColumn(
            "Nearest inverse",
            help="Another relation that has its triplets the other way round, where that is at least half of them.",
        ),
        "inverse_share": number(
            "Inverse share",
            format=share,
            help="The share of its triplets in all splits that the nearest inverse has the other way round.",
        ),
    }


def relations_alt(rows: pd.DataFrame, total: int) -> str:
    """What the table shows, in a sentence."""
    first = rows.iloc[0]
    kinds = ", ".join(f"{count} {kind}" for kind, count in rows["kind"].value_counts().items())
    return (
        f"{len(rows):,} of {total:,} relations with their counts; {first['relation'][:60]} has most, "
        f"{int(first['train']):,} train triplets. Kinds: {kinds}."
    )


# --- one relation ----------------------------------------------------------------------------------------------


def sentence(each: RelationFacts, kg: KnowledgeGraph) -> str:
    """One relation in words, as Markdown."""
    if not each.triplets["train"]:
        return "Train never shows this relation, so nothing is learned about it."
    total = sum(len(kg.array(split)) for split in each.triplets)
    words = [
        f"**{each.kind}**, {100 * sum(each.triplets.values()) / total:.1f} % of all triplets. A head has "
        f"{each.tails_per_head:.1f} tails on average, a tail {each.heads_per_tail:.1f} heads."
    ]
    if each.symmetric:
        words.append(f"{100 * each.symmetric:.0f} % of its triplets are there the other way round, too.")
    if each.inverse is not None:
        words.append(
            f"{100 * each.inverse_share:.0f} % of its triplets are there the other way round as "
            f"“{markdown_text(kg.relations[each.inverse])}”."
        )
    return " ".join(words)


def examples(kg: KnowledgeGraph, relation: int) -> Ids:
    """Some triplets of a relation, shape (n, 3), at random but always the same; of train if there are any."""
    for split in ("train", "valid", "test"):
        rows = kg.array(split)
        rows = rows[rows[:, 1] == relation]
        if len(rows):
            chance = np.random.default_rng(relation)
            return rows[np.sort(chance.permutation(len(rows))[:EXAMPLES])]
    return kg.array("train")[:0]


def frequent(kg: KnowledgeGraph, relation: int, column: int) -> tuple[Ids, Ids]:
    """The most frequent heads (column 0) or tails (2) of a relation in train, and how often each stands there."""
    rows = kg.array("train")
    counts = np.bincount(rows[rows[:, 1] == relation, column], minlength=kg.num_entities)
    found = np.argsort(-counts, kind="stable")[:EXAMPLES]
    found = found[counts[found] > 0]
    return found, counts[found]


# --- around an entity ------------------------------------------------------------------------------------------


def links(found: Sequence[Link], kg: KnowledgeGraph) -> pd.DataFrame:
    """The triplets around an entity, one a row."""
    return pd.DataFrame(
        {
            "head": [kg.entities[link.head] for link in found],
            "relation": [kg.relations[link.relation] for link in found],
            "tail": [kg.entities[link.tail] for link in found],
            "split": [link.split for link in found],
            "hop": [link.hop for link in found],
        }
    )


def link_columns() -> dict[str, Any]:
    """Headings of the triplets around an entity."""
    column = st.column_config
    return {
        "head": column.TextColumn("Head"),
        "relation": column.TextColumn("Relation"),
        "tail": column.TextColumn("Tail"),
        "split": column.TextColumn("Split", width="small", help="Which split holds the triplet."),
        "hop": column.NumberColumn(
            "Step", width="small", help="1: the entity is in the triplet; 2: one of its neighbours is."
        ),
    }
