"""What an address asks for on the Studies screen: study, part, measure, cell, seed; each checked, as a link may lie."""

from __future__ import annotations

import dataclasses
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from dans_app.shared import url_values
from dans_app.shared.address import Address
from dans_app.shared.words import markdown_text
from dans_app.studies import words
from dans_app.studies.data import Column, Loaded, StudyListing, StudyView
from dans_lab.names import METRICS
from dans_lab.study.plan import Label

SPLITS = {"test": "Test", "seen": "Test, seen", "valid": "Valid"}
ORDERS = {"plan": "As in the plan", "value": "Best first"}

_LONGEST = 200


@dataclass(frozen=True)
class TableOptions:
    """How the results are shown: metric, "test" or "valid", order of rows; `seen`: of test the seen triplets alone."""

    metric: str
    split: str
    order: str
    seen: bool = False

    @property
    def choice(self) -> str:
        """The value of `SPLITS`."""
        return "seen" if self.seen else self.split


@dataclass(frozen=True)
class Spot:
    """Where a person looks: a cell of the table, and one of its seeds."""

    row: Label
    column: Column
    seed: int


@dataclass(frozen=True)
class Places:
    """The parts of the address: of the whole screen, of the study, and of one part of it, whose number counts from 0.

    Another scope takes old complaints away, so all are there before anything is complained of.
    """

    screen: Address
    study: Address
    part: Address
    key: str | None
    number: int

    @classmethod
    def of(cls, listing: StudyListing) -> Places:
        """What the address asks for; `key` is None where there is no study.

        A shipped study is known by its name alone, too. Without an address it is a study of one's own, a whole one if
        there is, else the first that came along.
        """
        studies = listing.studies
        screen = Address("studies", "")
        wish = screen.raw("study")
        if wish not in studies:
            wish = next((key for key, listed in studies.items() if listed.study.name == wish), wish)
        own = {key: listed for key, listed in studies.items() if not listed.study.shipped}
        whole = (key for key, listed in own.items() if listed.done == listed.total)
        key = wish if wish in studies else next(itertools.chain(whole, own, studies), None)
        study = Address("studies", key or "", "study")
        tokens = [str(number + 1) for number in range(len(studies[key].plan.parts))] if key else ["1"]
        text = study.raw("part")
        number = tokens.index(text) if text in tokens else 0
        part = Address("studies", f"{key} {number}", "part")
        if wish is not None and wish not in studies:
            screen.complain(_unknown(wish, listing))
        if key:
            screen.keep("study", key)
            asked(study, "part", tokens)
        return cls(screen, study, part, key, number)


def choose_study(place: Address, listing: StudyListing, chosen: str) -> None:
    """The list of studies."""
    lines = words.lines(listing.studies)
    # With other words it is another list: a tick sends the words of a list that has gone once more.
    key = f"studies_study_{zlib.crc32(repr((chosen, lines)).encode()):x}"
    st.selectbox(
        "Study",
        list(lines),
        index=list(lines).index(chosen),
        format_func=lines.__getitem__,
        key=key,
        on_change=lambda: place.choose("study", st.session_state[key]),
        help="Your own are kept in the folder “studies” among the runs.",
    )


def choose_part(place: Address, loaded: Loaded, number: int) -> None:
    """The parts of the study, where there are several."""
    if len(loaded.plan.parts) > 1:
        names = {str(count): markdown_text(each.title) for count, each in enumerate(loaded.plan.parts, 1)}
        place.segmented("part", "Part", names, str(number + 1), "Each part is a table of its own.")


def options(place: Address) -> TableOptions:
    """What the address says of how to show results, whichever study."""
    found = {}
    for name, known in (("metric", METRICS), ("split", SPLITS), ("order", ORDERS)):
        found[name] = place.said(url_values.one_of(place.raw(name), name, list(known)))
        place.keep(name, None if found[name] == next(iter(known)) else found[name])
    seen = found["split"] == "seen"
    return TableOptions(found["metric"], "test" if seen else found["split"], found["order"], seen)


def that_are_there(place: Address, loaded: Loaded, found: TableOptions) -> TableOptions:
    """The same for a study that has no unseen entities, where all test triplets are seen."""
    if loaded.seen or not found.seen:
        return found
    place.complain(
        "The address asks for the seen test triplets; train shows the entities of all, so all are shown."
    )
    place.keep("split", None)
    return dataclasses.replace(found, seen=False)


def spot(place: Address, view: StudyView) -> Spot:
    """The cell and the seed that the address asks for: by default the reference, in the first column, first seed."""
    columns = [token(column) for column in view.columns]
    rows = [token((row,)) for row in view.rows]
    column = view.columns[columns.index(asked(place, "column", columns, columns[0]))]
    row = view.rows[rows.index(asked(place, "row", rows, token((view.reference,))))]
    seeds = [str(seed) for seed in view.plan.seeds]
    return Spot(row, column, int(asked(place, "seed", seeds, seeds[0])))


def go(place: Address, view: StudyView, row: Label, column: Column, seed: int | None = None) -> None:
    """For callbacks: look at this cell, and at this seed or the one before."""
    place.choose("column", None if column == view.columns[0] else token(column))
    place.choose("row", None if row == view.reference else token((row,)))
    if seed is not None:
        place.choose("seed", None if seed == view.plan.seeds[0] else str(seed))


def token(labels: Sequence[Label]) -> str:
    """Values on axes as an address writes them."""
    return ",".join(str(label) for label in labels)


def asked(place: Address, name: str, known: Sequence[str], default: str | None = None) -> str:
    """One of the values, else the default (None: the first) with a sentence where the address asks for another."""
    text = place.raw(name)
    default = known[0] if default is None else default
    if text is not None and text not in known:
        place.complain(
            f"The address asks for {name} “{markdown_text(text, 30)}”, which this study does not have; "
            f"“{markdown_text(default, 40)}” is shown instead."
        )
    found = text if text is not None and text in known else default
    place.keep(name, None if found == default else found)
    return found


def _unknown(key: str, listing: StudyListing) -> str:
    if key in listing.unreadable:
        return f"Study “{markdown_text(key)}” cannot be read ({markdown_text(listing.unreadable[key], _LONGEST)})."
    instead = "; another is shown instead." if listing.studies else "."
    return f"There is no study “{markdown_text(key, 40)}” on this machine{instead}"
