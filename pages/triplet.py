"""Screen Triplet: the negatives of one chosen triplet, from every source and beside other runs, down to the numbers."""

import dataclasses
from functools import partial

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dans_app.server import inspecting, loading
from dans_app.shared import dialogs, exports, name_search, other_runs, run_state, shell, theme
from dans_app.shared.name_search import entity_search
from dans_app.shared.url_values import Triplet
from dans_app.shared.words import markdown_text
from dans_app.triplet import asked as triplet_asked
from dans_app.triplet import details as triplet_details
from dans_app.triplet import proposals as triplet_proposals
from dans_app.triplet import strip as triplet_strip
from dans_app.triplet import table as triplet_table
from dans_app.triplet.asked import Asked
from dans_app.triplet.table import Lane, Shown
from dans_data.words import count
from dans_lab import warm_up
from dans_lab.names import about_fakes
from dans_lab.runs.run import Run

FAKE_SIDES = {"tail": "Fake tails", "head": "Fake heads", "both": "Both"}
OTHER_SIDES = {"tail": "Negative tails", "head": "Negative heads", "both": "Both"}
CHECK = "✓ "
MOST_CARDS = 4  # beside one another


def show() -> None:
    run = shell.begin(
        "Triplet",
        "One triplet and what stands against it: the negatives of every source and of other runs, all scored.",
        "There is no run yet. Start one on the Train page; its negatives can be looked at here.",
        ":material/conversion_path:",
    )
    if run is None:
        return
    with shell.told("This run cannot be inspected"):
        complaint = st.empty()
        asked = triplet_asked.checked(run, loading.graph(run))
        weights = inspecting.checkpoints(run)
        beside, wide = st.columns([3, 8], gap="medium")
        with beside:
            choose_triplet(asked)
            choose_options(asked, len(weights) > 1)
            choose_runs(asked)
        if weights:
            show_negatives(asked, wide)
        else:
            with wide:
                show_nothing_yet(run)
        if asked.place.message:
            complaint.warning(asked.place.message, icon=":material/link_off:")


# --- the choices -----------------------------------------------------------------------------------------------


def choose_triplet(asked: Asked) -> None:
    kg, triplet, state = asked.kg, asked.triplet, st.session_state
    known = triplet_asked.known_tails(kg, triplet.head, triplet.relation)
    relations = triplet_asked.known_relations(kg, triplet.head)
    for name in ("head", "relation", "tail"):
        state[f"triplet_{name}"] = getattr(triplet, name)

    def changed() -> None:
        head, relation, tail = (state[f"triplet_{name}"] for name in ("head", "relation", "tail"))
        found = Triplet(head, relation, tail, triplet.side)
        triplet_asked.remember(asked.place, kg, found, by_person=True)

    def tail_label(number: int) -> str:
        split = known.get(number)
        return f"{CHECK}{kg.entities[number]} · {split}" if split else kg.entities[number]

    one, two, three = st.container(), st.container(), st.container()
    if kg.num_entities > name_search.LARGE:
        search_entities(asked, one, three, known)
    else:
        one.selectbox(
            "Head",
            range(kg.num_entities),
            format_func=kg.entities.__getitem__,
            key="triplet_head",
            on_change=changed,
            help="Type to search.",
        )
        three.selectbox(
            "Tail",
            [*known, *(number for number in range(kg.num_entities) if number not in known)],
            format_func=tail_label,
            key="triplet_tail",
            on_change=changed,
            help="Those with ✓ are known answers of head and relation, each with the split that holds the fact, and "
            "stand first.",
        )
    two.selectbox(
        "Relation",
        [*relations, *(number for number in range(kg.num_relations) if number not in relations)],
        format_func=lambda number: (CHECK if number in relations else "") + kg.relations[number],
        key="triplet_relation",
        on_change=changed,
        help="Those with ✓ have a known fact with this head, and stand first.",
    )


def search_entities(asked: Asked, one: DeltaGenerator, three: DeltaGenerator, known: dict[int, str]) -> None:
    """Head and tail of a graph with too many entities for a list."""
    kg, triplet = asked.kg, asked.triplet

    def remember(found: Triplet) -> None:
        triplet_asked.remember(asked.place, kg, found, by_person=True)

    with one:
        entity_search(
            "Head",
            kg,
            kg.entities[triplet.head],
            "triplet_head_name",
            "Type a part of a name. Offered first are heads of this relation: of test facts, and those whose negatives "
            "the snapshots of this run keep.",
            on_pick=lambda name: remember(dataclasses.replace(triplet, head=kg.entity_id(name))),
            offers=triplet_asked.heads_offered(asked),
        )
    with three:
        entity_search(
            "Tail",
            kg,
            kg.entities[triplet.tail],
            "triplet_tail_name",
            "Type a part of a name. Offered first are known answers of head and relation, each with the split that "
            "holds the fact.",
            on_pick=lambda name: remember(dataclasses.replace(triplet, tail=kg.entity_id(name))),
            offers={kg.entities[number]: f"{CHECK}{split}" for number, split in known.items()},
        )


def choose_options(asked: Asked, both_weights: bool) -> None:
    fakes = asked.run.config.fakes

    def again() -> None:
        asked.place.choose("draw", str(asked.draw % triplet_asked.MOST_DRAWS + 1))

    def random_triplet() -> None:
        facts = asked.kg.array("test") if len(asked.kg.array("test")) else asked.kg.array("train")
        fact = facts[np.random.default_rng().integers(len(facts))]
        head, relation, tail = map(int, fact)
        found = Triplet(head, relation, tail, asked.triplet.side)
        triplet_asked.remember(asked.place, asked.kg, found, by_person=True)

    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        # The negative that was chosen may not be among the next ones.
        forget = partial(asked.own.choose, "negative", None)
        asked.place.segmented(
            "side",
            "Replace",
            FAKE_SIDES if fakes else OTHER_SIDES,
            asked.side,
            "Fake heads are made as fake tails of the reciprocal relation: (t, r⁻¹, ?)."
            if fakes
            else "Which side of the triplet a negative takes the place of.",
            forget,
        )
        asked.place.segmented(
            "draws",
            "From each source",
            {number: number for number in triplet_asked.DRAWS},
            str(asked.draws),
            f"Negatives drawn from {triplet_table.sources(asked.run.config)}.",
            forget,
        )
        if both_weights:
            asked.place.segmented(
                "weights", "Weights", theme.WEIGHTS, asked.weights_of(asked.run), theme.WEIGHTS_HELP, forget
            )
        st.button(
            "Draw again",
            icon=":material/casino:",
            on_click=again,
            help="The same triplet, other noise and other random entities.",
        )
        st.button("Random test triplet", icon=":material/shuffle:", on_click=random_triplet)


def choose_runs(asked: Asked) -> None:
    if not asked.known_runs:
        return
    labels = other_runs.labels(asked.run, list(asked.known_runs.values()))
    st.session_state["triplet_with"] = asked.beside

    def changed() -> None:
        picked = st.session_state["triplet_with"]
        asked.own.choose("negative", None)
        asked.own.choose("with", other_runs.address(picked, asked.run, asked.known_runs))

    st.multiselect(
        "Beside other runs",
        list(asked.known_runs),
        format_func=lambda run_id: " · ".join(dict.fromkeys((labels[run_id], run_id))),
        key="triplet_with",
        max_selections=other_runs.MOST,
        on_change=changed,
        placeholder="None; choose runs on the same data",
        help="Their negatives of the same triplet, by their own weights. A run without a name is called by its "
        "sampler and the settings that differ from those of the run above.",
    )


# --- what is shown ---------------------------------------------------------------------------------------------


def show_negatives(asked: Asked, wide: DeltaGenerator) -> None:
    """The picture and what is said of it in the `wide` part beside the choices, everything else below both."""
    with wide:
        shown, problems = triplet_asked.negatives(asked)
        for problem in problems:
            st.warning(problem, icon=":material/compare_arrows:")
        for column, side in zip(st.columns(len(asked.sides), gap="large"), asked.sides, strict=True):
            with column:
                show_side(asked, side, triplet_table.lanes(part for part in shown if part.side == side))
        show_facts(asked, shown[0])
    fault = "" if asked.run.config.proposes else ": a false negative"
    st.caption(
        "Numbers are scores minus the positive’s, by the same run: compare signs and order between runs, not "
        "distances. ≈ is the entity nearest to a fake. :violet-badge[✓ train] marks a negative that is a known "
        f"fact of that split{fault}."
    )
    show_table(asked, shown)
    if asked.run.config.proposes:
        show_proposals(asked)
    triplet_details.show_arithmetic(asked, triplet_table.lanes(shown))
    triplet_details.show_paths(asked)


def show_facts(asked: Asked, own: Shown) -> None:
    config, triplet = asked.run.config, asked.triplet
    split = asked.kg.split_of(triplet.head, triplet.relation, triplet.tail)
    lines = [triplet_table.known_line(asked.names, split)]
    if not config.fakes:
        lines.append(triplet_table.no_fakes(config.declaration))
    elif what := about_fakes(config):
        lines.append(what)
    st.markdown("  \n".join(lines))
    if early := warm_up.told(config, own.epoch):
        st.info(f"{early} Its fakes are chance." if config.fakes else early, icon=":material/hourglass_top:")
    if config.fakes and split == "train":
        head, relation, tail = asked.names
        st.page_link(
            shell.page("Step"),
            label="Step through a round of the game for this triplet",
            icon=":material/footprint:",
            query_params={"run": asked.run.id, "head": head, "relation": relation, "tail": tail},
        )


def show_side(asked: Asked, side: str, lanes: list[Lane]) -> None:
    kg = asked.kg
    head, relation, answer = asked.query(side)
    counts = {split: len(ids) for split, ids in kg.answers(head, relation).items()}
    is_fact = kg.split_of(head, relation, answer) is not None
    if asked.side == "both":
        st.header(triplet_details.OTHERS[side], anchor=False)
    st.markdown(
        triplet_table.answers_line(asked.names, side, counts, is_fact, kg.num_entities)
        + "  \n"
        + triplet_table.headline(lanes)
    )
    exports.chart(
        triplet_strip.strip(lanes),
        key=f"triplet_strip_{side}",
        alt=triplet_strip.alt(lanes),
        name=f"scores of negative {side}s {asked.run.id}",
    )
    rows = -(-len(lanes) // (MOST_CARDS // len(asked.sides)))
    wide = -(-len(lanes) // rows)
    for start in range(0, len(lanes), wide):
        for column, lane in zip(st.columns(wide, gap="small"), lanes[start : start + wide], strict=False):
            with column:
                show_card(lane)


def show_card(lane: Lane) -> None:
    run = f"Run {markdown_text(lane.shown.run, 64)}" if lane.shown.run else "The run chosen above"
    heading = f"{triplet_table.mark(lane.source)} **{markdown_text(lane.title, 40)}**"
    with st.container(border=True, height="stretch", gap="xxsmall"):
        st.markdown(
            f"{heading} · {markdown_text(lane.run, 60)}" if lane.run else heading,
            help=f"{run}, weights of epoch {lane.shown.epoch:,}.",
        )
        st.markdown("  \n".join(triplet_table.card(lane)))


def show_table(asked: Asked, shown: list[Shown]) -> None:
    rows, names = triplet_table.table(shown)
    several_runs = len({part.run for part in shown}) > 1
    hidden = {"side": len(asked.sides) == 1, "run": not several_runs}
    hidden |= {name: rows[name].isna().all() for name in ("D_adv", "weight")}
    hidden |= {"D_aux": (rows["D_aux"] == "–").all()}
    chosen, state = asked.own.raw("negative"), st.session_state
    state["triplet_rows"] = {"selection": {"rows": [names.index(chosen)] if chosen in names else []}}

    def picked() -> None:
        found = state["triplet_rows"]["selection"]["rows"]
        asked.own.choose("negative", names[found[0]] or None if found else None)

    st.dataframe(
        rows,
        hide_index=True,
        height="content" if len(rows) < 17 else 430,
        placeholder="–",
        column_order=[name for name in rows if not hidden.get(name)],
        column_config=triplet_table.columns(asked.side),
        key="triplet_rows",
        on_select=picked,
        selection_mode="single-row",
        alt=triplet_table.alt(shown),
    )
    exports.table(rows, f"negatives {asked.run.id}")
    st.caption(
        f"Weights of epoch {shown[0].epoch:,}, draw {asked.draw:,}. A fake is a vector, read by its nearest entity; a "
        "small cosine means it is like none. Choose a row to open the arithmetic of its score."
    )


def show_proposals(asked: Asked) -> None:
    """What the chosen run proposes for each query on the screen."""
    st.header("What the generator proposes", anchor=False, help=triplet_proposals.HELP)
    for column, side in zip(st.columns(len(asked.sides), gap="large"), asked.sides, strict=True):
        with column:
            if asked.side == "both":
                st.markdown(f"**{triplet_details.OTHERS[side]}**")
            show_proposal(asked, side)
    st.caption(
        f"Shown are the {inspecting.FOREMOST} entities that are drawn most or weigh most, and the answer, in bold; ✓ "
        f"marks known facts. The scale is logarithmic. {triplet_proposals.formula(asked.run.config)}"
    )


def show_proposal(asked: Asked, side: str) -> None:
    run, kg, query = asked.run, asked.kg, asked.query(side)
    found = inspecting.propose(run, kg, asked.weights_of(run), query, asked.draws, asked.draw - 1)
    st.markdown("  \n".join(triplet_proposals.lines(found.figures, kg.num_entities)))
    exports.chart(
        triplet_proposals.figure(found, kg, query),
        key=f"triplet_proposal_{side}",
        alt=triplet_proposals.alt(found, kg),
        name=f"proposed {side}s {run.id}",
    )
    rows = triplet_proposals.table(found, kg, query)
    st.dataframe(
        rows,
        hide_index=True,
        height="content",
        column_config=triplet_proposals.columns(),
        alt=f"The {side}s that are drawn most or weigh most, one a row, with their chances and weights in per cent.",
    )
    exports.table(rows, f"proposed {side}s {run.id}")


def show_nothing_yet(run: Run) -> None:
    if not run_state.under_way(run.status):
        st.info(
            "This run kept no weights, so its negatives cannot be made again. Choose another run above.",
            icon=":material/conversion_path:",
        )
        return
    st.info(
        "No weights yet: the first come with the first ranking, after "
        f"{count(run.config.eval_every, 'epoch')}. This page looks for them by itself.",
        icon=":material/hourglass_top:",
    )

    @st.fragment(run_every=2.0)
    def tick() -> None:
        if inspecting.checkpoints(run) or not run_state.under_way(run.status):
            dialogs.redraw()

    tick()


shell.guard()
show()
