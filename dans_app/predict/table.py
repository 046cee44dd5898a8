"""The answers as a table, and what speaks for one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dans_app.predict.asked import Asked
from dans_app.server.inspecting import Answers
from dans_app.shared.words import markdown_text
from dans_core.kg import KnowledgeGraph
from dans_data.words import plural

if TYPE_CHECKING:
    import pandas as pd

MOST_SHOWN = 5
"""Facts and entities that are named of each kind."""

NEW = "new"


def known(kg: KnowledgeGraph, found: Answers) -> list[str | None]:
    """Of each answer the split that holds it, or None."""
    return [kg.split_of(*triplet) for triplet in found.triplets.tolist()]


def table(asked: Asked, found: Answers, splits: list[str | None]) -> pd.DataFrame:
    """One row an answer, `splits` what `known` says of them; the columns of what was given are left out."""
    import pandas as pd

    kg = asked.kg
    heads, relations, tails = found.triplets.T
    columns: dict[str, list[object]] = {"rank": list(found.ranks)}
    names = {
        "head": [kg.entities[each] for each in heads],
        "relation": [kg.relations[each] for each in relations],
        "tail": [kg.entities[each] for each in tails],
    }
    given = {name for name, said in zip(names, asked.names, strict=True) if said != "?"}
    columns |= {name: list(values) for name, values in names.items() if name not in given}
    sure = not np.isnan(found.probabilities).all()
    if sure:
        columns["probability"] = list(found.probabilities)
    if asked.known and asked.open != "new":
        columns["known"] = [split or NEW for split in splits]
    # Scores of several queries cannot be compared, but are all there is where nothing turns them into probabilities.
    if asked.open != "new" or not sure:
        columns["score"] = list(found.scores)
    if np.isnan(found.ranks).all():
        columns["rank"] = list(range(1, len(found.ranks) + 1))
    return pd.DataFrame(columns)


def in_words(probabilities: npt.NDArray[np.float64]) -> str:
    """What the probability of the best new facts means, and how many share it; `probabilities` (n,), best first."""
    best = float(probabilities[0])
    alike = int((np.abs(probabilities - best) < 0.005).sum())
    many = (
        f" The first {alike:,} have the same, so their order among each other says little."
        if alike > 1
        else ""
    )
    true = f"of new facts as sure as the first, about {100 * best:.0f} in 100 should be true"
    return f"Probability {best:.2f}: {true}.{many}"


def reasons(
    kg: KnowledgeGraph, triplet: tuple[int, int, int], entities: npt.NDArray[np.float32]
) -> list[str]:
    """What train has that speaks for a triplet, as sentences of Markdown; `entities` are the encoder's vectors."""
    head, relation, tail = triplet
    train = kg.array("train")
    return [
        *_joined(kg, train, head, tail),
        *_alike(kg, train, relation, head, tail, entities, heads=True),
        *_alike(kg, train, relation, tail, head, entities, heads=False),
    ]


def _joined(kg: KnowledgeGraph, train: npt.NDArray[np.int64], head: int, tail: int) -> list[str]:
    both = (train[:, [0, 2]] == (head, tail)).all(1) | (train[:, [0, 2]] == (tail, head)).all(1)
    facts = train[both]
    if not len(facts):
        return ["No fact of train joins the two."]
    shown = "; ".join(_fact(kg, *fact) for fact in facts[:MOST_SHOWN].tolist())
    return [f"Train joins the two already: {shown}{_more(len(facts))}."]


def _alike(
    kg: KnowledgeGraph,
    train: npt.NDArray[np.int64],
    relation: int,
    mine: int,
    other: int,
    entities: npt.NDArray[np.float32],
    heads: bool,
) -> list[str]:
    """Entities in the place of `mine` in facts of train with the other two, nearest to it first."""
    column, given = (0, 2) if heads else (2, 0)
    rows = train[(train[:, 1] == relation) & (train[:, given] == other), column]
    rows = rows[rows != mine]
    given_name, relation_name = _name(kg, other), markdown_text(kg.relations[relation])
    what = f"(?, {relation_name}, {given_name})" if heads else f"({given_name}, {relation_name}, ?)"
    if not len(rows):
        return [f"Train has no other answer to {what}."]
    lengths = np.linalg.norm(entities[rows], axis=1) * np.linalg.norm(entities[mine])
    cosines = entities[rows] @ entities[mine] / np.maximum(lengths, 1e-12)
    order = np.argsort(-cosines, kind="stable")[:MOST_SHOWN]
    shown = ", ".join(f"{_name(kg, int(rows[at]))} ({cosines[at]:.2f})" for at in order)
    others = f"{len(rows):,} {plural(len(rows), 'other', 'others')}"
    return [f"Train answers {what} with {others}; nearest to {_name(kg, mine)}, by cosine: {shown}."]


def _fact(kg: KnowledgeGraph, head: int, relation: int, tail: int) -> str:
    return f"({_name(kg, head)}, {markdown_text(kg.relations[relation])}, {_name(kg, tail)})"


def _name(kg: KnowledgeGraph, number: int) -> str:
    return f"**{markdown_text(kg.entities[number], 40)}**"


def _more(count: int) -> str:
    return f", and {count - MOST_SHOWN:,} more" if count > MOST_SHOWN else ""
