"""What makes it doubtful that a table was read rightly, though it can be: for a person to decide."""

from __future__ import annotations

from collections.abc import Sequence

from dans_data import naming
from dans_data.columns import Columns, of_header
from dans_data.forms import Layout
from dans_data.notes import Doubt
from dans_data.triplets import Triplet, printable

_FEWEST = 10
"""Triplets below which nothing is concluded."""


def of(triplets: Sequence[Triplet], layout: Layout, columns: Columns, where: str) -> Doubt | None:
    """A doubt about the triplets that were read by this layout, or None.

    Where a person has said what a doubt is about, there is none.
    """
    named = layout.header is not None
    if len(triplets) < _FEWEST or (layout.header and of_header(layout.header)):
        return None
    file = naming.base(where)
    if not named and columns.header is None and _names_only_itself(triplets):
        names = "{}, {} and {}".format(*(f'"{printable(name, 40)}"' for name in triplets[0]))
        words = (
            f"line {layout.first} may be a header, since {names} occur nowhere else; it was read as a triplet"
        )
        return Doubt(file, "header", words)
    if columns.places is None and (counts := _relations_last(triplets)):
        second, third = counts
        words = (
            f"the columns may be head, tail, relation, since the third has only {third:,} different names, and many "
            f"of the {second:,} in the second are in the first, too; they were read as head, relation, tail"
        )
        return Doubt(file, "order", words)
    return None


def _names_only_itself(triplets: Sequence[Triplet]) -> bool:
    """Whether the names of the first triplet occur in no other."""
    head, relation, tail = triplets[0]
    return head != tail and not any(
        relation == other or {head, tail} & {first, last} for first, other, last in triplets[1:]
    )


def _relations_last(triplets: Sequence[Triplet]) -> tuple[int, int] | None:
    """How many names the second and the third column have, if the second has far more, and those of the first."""
    first, second, third = (set(column) for column in zip(*triplets, strict=True))
    far_fewer = 2 * len(third) <= len(second)
    return (len(second), len(third)) if far_fewer and len(first & second) > len(first & third) else None
