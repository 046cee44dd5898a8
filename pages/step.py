"""Screen Step: a run lived through again, one stage at a time, for one chosen triplet."""

import numpy as np
import streamlit as st

from dans_app.server import loading, stepping
from dans_app.server.stepping import Way
from dans_app.shared import dialogs, shell
from dans_app.shared.words import sentence
from dans_app.step import asked as step_asked
from dans_app.step import view
from dans_app.step.asked import Asked
from dans_app.step.stops import Found
from dans_data.errors import InputError
from dans_lab.stepping.rounds import check

TICK = 0.3
WAY = "step_way"
STARTING = "Training again from the start …"


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
        check(loading.graph(run), run.config)
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
    return all(is_there(asked, number) for number in wanted(asked))


def is_there(asked: Asked, number: int) -> bool:
    return stepping.is_kept(asked.run, asked.kg, number, asked.query)


def stage(asked: Asked, was_ready: bool) -> None:
    """The stops; while a round is missing, it is trained between the ticks. Full rerun when all came or one is gone."""
    numbers = wanted(asked)
    missing = [number for number in numbers if not is_there(asked, number)]
    with shell.told("This run cannot be stepped through"):
        rounds: list[Found] = []
        trouble = ""
        for number in numbers:
            try:
                found = None if number in missing else stepping.look(asked.run, asked.kg, number, asked.query)
            except InputError as error:
                if number == numbers[0]:
                    raise
                trouble = sentence(error)
                continue
            if isinstance(found, dict):
                rounds.append(found)
        busy = st.session_state.get(WAY, STARTING) if numbers[0] in missing else ""
        # What is there is drawn before more is asked for, which takes a moment.
        view.show(asked, rounds, busy)
        follow(asked)
        if trouble:
            st.caption(trouble)
        if missing:
            train(asked, missing[0])
    if was_ready == bool(missing):
        dialogs.redraw()


def train(asked: Asked, number: int) -> None:
    """Some steps on the way to a round; the next tick finds it, or where it is."""
    found = stepping.look(asked.run, asked.kg, number, asked.query)
    if isinstance(found, Way):
        st.session_state[WAY] = (
            f"Training again, epoch {found.epoch:,} of {found.epochs:,}: there round {number:,} of the game is played."
        )


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

    one, two, three, four, five = st.columns([4, 4, 4, 4, 3], vertical_alignment="bottom")
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
    with four:
        asked.place.segmented(
            "side",
            "Asked for",
            {"tail": "Tail, (h, r, ?)", "head": "Head, (?, r, t)"},
            asked.side,
            "Training asks both of every triplet. A head is asked for as the tail of the reciprocal relation, "
            "(t, r⁻¹, ?).",
        )
    five.button(
        "Another triplet",
        icon=":material/shuffle:",
        on_click=any_one,
        help="Any training triplet.",
        width="stretch",
    )


shell.guard()
show()
