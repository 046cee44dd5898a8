"""Screen Step: a run lived through again, one stage at a time, for one chosen triplet."""

import contextlib

import numpy as np
import streamlit as st

from dans_app.server import loading, stepping
from dans_app.server.stepping import Way
from dans_app.shared import shell
from dans_app.step import asked as step_asked
from dans_app.step import view
from dans_app.step.asked import Asked
from dans_app.step.stops import Found

TICK = 0.3
STARTING = "Starting the process that trains; once a server, this takes some seconds …"


def show() -> None:
    run = shell.begin(
        "Step",
        "One round of the game, a stage at a time: the run is trained again from its start, with the same numbers.",
        "There is no run yet. Start one on the Train page; it can be stepped through here.",
        ":material/footprint:",
    )
    if run is None:
        return
    with shell.told("This run cannot be stepped through"):
        complaint = st.empty()
        asked = step_asked.checked(run, loading.graph(run))
        ready = there(asked)
        st.fragment(run_every=None if ready else TICK)(stage)(asked, ready)
        choose_triplet(asked)
        if message := asked.own.message or asked.place.message:
            complaint.warning(message, icon=":material/link_off:")


def now(asked: Asked) -> tuple[int, int]:
    """The round and the stop that are on the screen, or wanted there."""
    return view.at(asked) or (asked.number, asked.stop)


def wanted(asked: Asked) -> list[int]:
    """Rounds to have ready: the one that is looked at, the next one and the one before."""
    number, _ = now(asked)
    return [each for each in (number, number + 1, number - 1) if 1 <= each <= asked.total]


def there(asked: Asked) -> bool:
    """Whether all of them are there already."""
    return all(stepping.is_kept(asked.run, asked.kg, number, asked.triplet) for number in wanted(asked))


def stage(asked: Asked, was_ready: bool) -> None:
    """The stops; while a round is missing, it is trained between the ticks. Full rerun when all came or one is gone."""
    with shell.told("This run cannot be stepped through"):
        numbers = wanted(asked)
        rounds: list[Found] = []
        busy = ""
        for number in numbers:
            at_hand = stepping.is_kept(asked.run, asked.kg, number, asked.triplet)
            with contextlib.nullcontext() if at_hand or stepping.is_warm() else st.spinner(STARTING):
                found = stepping.look(asked.run, asked.kg, number, asked.triplet)
            if isinstance(found, Way):
                busy = on_the_way(found, number) if number == numbers[0] else ""
                break
            rounds.append(found)
            if not at_hand:
                # What was waited for is shown before anything else is asked for.
                break
        view.show(asked, rounds, busy)
        follow(asked)
        if was_ready != (len(rounds) == len(numbers)):
            st.rerun()


def on_the_way(way: Way, number: int) -> str:
    return f"Training again, epoch {way.epoch:,} of {way.epochs:,}: there round {number:,} of the game is played."


def follow(asked: Asked) -> None:
    """Where the browser has gone is what the address says from now on."""
    at = view.at(asked)
    if at is not None and at != (asked.number, asked.stop):
        asked.own.forgive()
        step_asked.keep(asked.own, *at)


# --- the triplet -----------------------------------------------------------------------------------------------


def choose_triplet(asked: Asked) -> None:
    kg, state = asked.kg, st.session_state
    facts = kg.array("train")
    head, relation, _ = asked.triplet
    of_head = facts[facts[:, 0] == head]
    for name, value in zip(step_asked.PARTS, asked.triplet, strict=True):
        state[f"step_{name}"] = value

    def choose(head: int, relation: int | None = None, tail: int | None = None) -> None:
        found = step_asked.fitting([head, relation, tail], kg)
        step_asked.remember(asked.place, kg, found, by_person=True)

    def any_one() -> None:
        fact = facts[np.random.default_rng().integers(len(facts))]
        choose(*map(int, fact))

    one, two, three, four = st.columns([4, 4, 4, 2], vertical_alignment="bottom")
    one.selectbox(
        "Head",
        np.unique(facts[:, 0]).tolist(),
        format_func=kg.entities.__getitem__,
        key="step_head",
        on_change=lambda: choose(state["step_head"], relation),
        help="Triplets of train alone, since each step is made for them. Type to search.",
    )
    two.selectbox(
        "Relation",
        np.unique(of_head[:, 1]).tolist(),
        format_func=kg.relations.__getitem__,
        key="step_relation",
        on_change=lambda: choose(head, state["step_relation"]),
        help="Those that this head has in train.",
    )
    three.selectbox(
        "Tail",
        of_head[of_head[:, 1] == relation, 2].tolist(),
        format_func=kg.entities.__getitem__,
        key="step_tail",
        on_change=lambda: choose(head, relation, state["step_tail"]),
        help="The answers of head and relation in train.",
    )
    four.button(
        "Another", icon=":material/shuffle:", on_click=any_one, help="Any training triplet.", width="stretch"
    )


shell.guard()
show()
