"""Screen Predict: what a run answers where a place of a triplet is open, ranked, and what that is worth."""

from collections.abc import Callable

import numpy as np
import streamlit as st

from dans_app.predict import asked as predict_asked
from dans_app.predict import figures
from dans_app.predict import table as predict_table
from dans_app.predict.asked import PLACES, TOPS, Asked
from dans_app.server import inspecting, loading
from dans_app.server.inspecting import Answers
from dans_app.shared import exports, name_search, shell
from dans_app.shared.words import markdown_text, sentence
from dans_data.words import number
from dans_lab import warm_up
from dans_lab.worth import of_new_facts, warnings, worth

ROWS = 14
"""Rows of the table before it scrolls."""

CHANCE_HELP = (
    "Of answers that get 0.8, four in five should be true. Fitted on valid, whose facts the model has not seen, with "
    "known facts left out: so it holds where about as much is missing as was held out for valid. Known facts have none."
)
TYPED_HELP = (
    "Leaves only entities that train shows in this place of the relation. Ranks are then among these: they look "
    "better, and cannot be compared with those of an evaluation."
)


def show() -> None:
    run = shell.begin(
        "Predict",
        "What a run answers where a place of a triplet is open: ranked, known facts marked, and what that is worth.",
        "There is no run yet. Start one on the Train page; it can be asked here.",
        ":material/lightbulb:",
    )
    if run is None:
        return
    with shell.told("This run cannot be asked"):
        weights = inspecting.checkpoints(run)
        if not weights:
            st.info(
                "This run has kept no weights yet: ask it after its first ranking.",
                icon=":material/timer:",
            )
            return
        asked = predict_asked.checked(run, loading.graph(run), weights[0])
        if asked.place.message:
            st.warning(asked.place.message, icon=":material/link_off:")
        if early := warm_up.told_of(run, asked.which):
            st.info(early, icon=":material/hourglass_top:")
        choose(asked)
        show_answers(asked)


# --- the question ----------------------------------------------------------------------------------------------


def choose(asked: Asked) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        asked.place.segmented(
            "ask", "Open", PLACES, asked.open, "Which place of the triplet the run is to fill."
        )
        for role in ("head", "relation", "tail"):
            if role != asked.open and (asked.open != "new" or role == "relation"):
                choose_part(asked, role)
        asked.place.segmented(
            "top", "Answers", {top: top for top in TOPS}, str(asked.top), "How many that are no known facts."
        )
        if asked.open != "new":
            switch(
                asked, "known", "Known facts, too", "Facts of train, valid and test stand among the answers."
            )
        if asked.query is not None:
            switch(asked, "typed", "Fitting entities only", TYPED_HELP)


def switch(asked: Asked, name: str, label: str, about: str) -> None:
    key = f"predict_{name}"
    st.session_state[key] = getattr(asked, name)
    st.toggle(
        label,
        key=key,
        help=about,
        on_change=lambda: asked.place.choose(name, "yes" if st.session_state[key] else None),
    )


def choose_part(asked: Asked, role: str) -> None:
    kg, key = asked.kg, f"predict_{role}"
    value = getattr(asked, role)
    if role != "relation" and kg.num_entities > name_search.LARGE:
        with st.container(width=260):
            name_search.entity_search(
                role.capitalize(),
                kg,
                kg.entities[value],
                f"{key}_name",
                "Type a part of a name.",
                on_pick=lambda name: asked.choose(role, kg.entity_id(name)),
            )
        return
    names = kg.relations if role == "relation" else kg.entities
    any_relation = asked.open == "new" and kg.num_entities <= name_search.LARGE
    st.session_state[key] = value
    st.selectbox(
        role.capitalize(),
        [*([None] if any_relation else []), *range(len(names))],
        format_func=lambda each: "Any relation" if each is None else names[each],
        key=key,
        on_change=lambda: asked.choose(role, st.session_state[key]),
        width=240,
        placeholder="Any relation" if any_relation else None,
        help="Type to search.",
    )


# --- the answers -----------------------------------------------------------------------------------------------


def get_ready(asked: Asked) -> None:
    """What the first question to a run has to wait for, told a step at a time where the graph is large."""
    if asked.kg.num_entities <= name_search.LARGE:
        return
    of = asked.run, asked.kg, asked.which
    steps: dict[str, Callable[[], object]] = {
        "Loading the weights of the run": lambda: inspecting.entities(*of),
        "Ranking test, for what an answer is worth": lambda: inspecting.ranks(*of, "test"),
        "Ranking test by popularity": lambda: inspecting.floor_ranks(*of, "test"),
    }
    if asked.open != "relation":
        steps["Fitting probabilities on valid"] = lambda: inspecting.reliability(*of)
    bar = st.empty()
    for done, (what, do) in enumerate(steps.items()):
        bar.progress(done / len(steps), f"{what}, once; step {done + 1} of {len(steps)} …")
        do()
    bar.empty()


def show_answers(asked: Asked) -> None:
    get_ready(asked)
    with st.spinner("Asking the run …", show_time=True):
        found = predict_asked.answers(asked)
    what = heading(asked)
    left, right = st.columns([5, 4], gap="large")
    with left:
        st.header(what, anchor=False)
        chosen = show_table(asked, found)
    with right:
        show_worth(asked)
        show_reasons(asked, found, chosen)
    show_reliability(asked, found)


def heading(asked: Asked) -> str:
    if asked.open != "new":
        return f"({', '.join(markdown_text(name) for name in asked.names)})"
    of = "any relation" if asked.relation is None else markdown_text(asked.names[1])
    return f"New facts of {of}"


def show_table(asked: Asked, found: Answers) -> int:
    """The table; the row that is chosen, at first the best answer that is no known fact."""
    splits = predict_table.known(asked.kg, found)
    rows = predict_table.table(asked, found, splits)
    column = st.column_config
    event = st.dataframe(
        rows,
        hide_index=True,
        key=f"predict_answers_{asked.names}",
        on_select="rerun",
        selection_mode="single-row",
        height="content" if len(rows) <= ROWS else 35 * ROWS + 38,
        alt=f"{len(rows)} answers to {', '.join(asked.names)}, best first.",
        column_config={
            "rank": column.NumberColumn(
                "Rank",
                width="small",
                format="%g",
                help="1 + the candidates above that are no known facts; ties count half. As in an evaluation."
                if asked.open != "new"
                else "By how sure the run is. Asked are the heads that train shows with the relation.",
            ),
            "head": column.TextColumn("Head"),
            "relation": column.TextColumn("Relation"),
            "tail": column.TextColumn("Tail"),
            "known": column.TextColumn(
                "Known", width="small", help="The split that holds the fact; “new” where none does."
            ),
            "probability": column.ProgressColumn(
                "Probability", min_value=0, max_value=1, format="%.2f", width="small", help=CHANCE_HELP
            ),
            "score": column.NumberColumn(
                "Score",
                width="small",
                format="%.2f",
                help="The decoder’s; to be compared within one query only.",
            ),
        },
    )
    if asked.open == "new" and len(found.triplets) and not np.isnan(found.probabilities[0]):
        st.caption(predict_table.in_words(found.probabilities))
    exports.table(rows, f"answers {' '.join(asked.names)}")
    picked = event.selection.rows if event else []
    if picked and picked[0] < len(rows):
        return picked[0]
    return splits.index(None) if None in splits else 0


def show_worth(asked: Asked) -> None:
    st.markdown("**What that is worth**")
    run, kg, which = asked.run, asked.kg, asked.which
    ranks, floor = (of(run, kg, which, "test") for of in (inspecting.ranks, inspecting.floor_ranks))
    for each in warnings(kg, "test", ranks, floor):
        st.warning(sentence(each, 400), icon=":material/warning:")
    if asked.open == "relation":
        st.markdown(
            "No ranking of held-out triplets asks for a relation, so there is no figure for it. Look at what speaks "
            "for an answer."
        )
        return
    if asked.query is None:
        told: object = of_new_facts(kg, "test", asked.relation, ranks, floor)
    else:
        told = worth(kg, "test", asked.query[1], ranks, floor)
    st.markdown(
        sentence(told, 400),
        help="MRR: the mean of 1 / rank. The floor ranks by how often an entity fills the place in train, without "
        "any model. An answer is worth little where the run is not above it.",
    )


def show_reasons(asked: Asked, found: Answers, row: int) -> None:
    if not len(found.triplets):
        return
    kg = asked.kg
    head, relation, tail = map(int, found.triplets[row])
    triplet = f"({kg.entities[head]}, {kg.relations[relation]}, {kg.entities[tail]})"
    st.markdown(f"**What speaks for** {markdown_text(triplet, 200)}")
    entities = inspecting.entities(asked.run, kg, asked.which)
    for reason in predict_table.reasons(kg, (head, relation, tail), entities):
        st.markdown(f"- {reason}")
    if st.button(
        "Its negatives", icon=":material/conversion_path:", help="Open this triplet on the screen Triplet."
    ):
        shell.leave(
            "Triplet",
            run=asked.run.id,
            head=kg.entities[head],
            relation=kg.relations[relation],
            tail=kg.entities[tail],
        )


def show_reliability(asked: Asked, found: Answers) -> None:
    if asked.open == "relation":
        return
    trusted = inspecting.reliability(asked.run, asked.kg, asked.which)
    if trusted is None:
        instead = (
            "; shown is the score, which cannot be compared between queries" if asked.open == "new" else ""
        )
        st.caption(f"No probability: valid is too small for scores to be turned into one{instead}.")
        return
    with st.expander("How far to trust a probability", icon=":material/rule:"):
        st.markdown(
            f"On the mean it is off by **{number(trusted.error)}** on valid, over answers above one in ten. Each was "
            "judged by a fit that had not seen its query."
        )
        exports.chart(
            figures.reliability(trusted),
            key="predict_reliability",
            alt="Share of facts against the probability that was promised, over the answers of valid.",
            name="reliability of probabilities",
        )


shell.guard()
show()
