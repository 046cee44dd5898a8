"""Screen Triplet: the negatives of one chosen triplet, from each pathway and from random sampling."""

import numpy as np
import streamlit as st

from dans_app import inspecting, loading, shell, snapshots, triplet_table, wanted
from dans_app.address import Address
from dans_app.wanted import Triplet
from dans_core.kg import KnowledgeGraph
from dans_core.runs import Run

DRAWS = {"5": "5", "20": "20", "50": "50"}
SIDES = {"tail": "Fake tails", "head": "Fake heads"}
RANDOM_SIDES = {"tail": "Random tails", "head": "Random heads"}
WEIGHTS = {"best": "Best epoch", "last": "Last epoch"}
CHECK = "✓ "


def show() -> None:
    run = shell.begin(
        "Triplet",
        "One triplet and what stands against it: the fakes of both pathways beside random negatives, all scored.",
        "There is no run yet. Start one on the Train page; its negatives can be looked at here.",
        ":material/conversion_path:",
    )
    if run is None:
        return
    with shell.told("This run cannot be inspected"):
        kg = loading.graph(run)
        weights = inspecting.checkpoints(run)
        place = Address("triplet", kg.hash)
        triplet = chosen_triplet(place, kg)
        draws, which, seed = chosen_options(place, weights)
        if place.message:
            st.warning(place.message, icon=":material/link_off:")
        choices(place, kg, triplet)
        options(place, kg, draws, which, weights, fakes=run.config.sampler == "dans")
        if weights:
            inspected(run, kg, triplet, int(draws), which, seed)
        else:
            nothing_yet(run)


# --- what the address asks for ---------------------------------------------------------------------------------


def chosen_triplet(place: Address, kg: KnowledgeGraph) -> Triplet:
    triplet, problems = wanted.triplet(
        *(place.raw(name) for name in ("head", "relation", "tail", "side")), kg
    )
    if problems:
        place.complain(problems[0])
    remember(place, kg, triplet)
    return triplet


def chosen_options(place: Address, weights: list) -> tuple[str, str, int]:
    draws, problem = wanted.one_of(place.raw("draws"), "draws", list(DRAWS))
    which, other = wanted.one_of(place.raw("weights"), "weights", list(WEIGHTS))
    if problem or other:
        place.complain(problem or other)
    place.keep("draws", None if draws == "5" else draws)
    place.keep("weights", None if which == "best" else which)
    return (
        draws,
        which if which in weights or not weights else weights[0],
        st.session_state.get("triplet_seed", 0),
    )


def remember(place: Address, kg: KnowledgeGraph, triplet: Triplet, by_person: bool = False) -> None:
    """The triplet into the URL, by names."""
    put = place.choose if by_person else place.keep
    put("head", kg.entities[triplet.head])
    put("relation", kg.relations[triplet.relation])
    put("tail", kg.entities[triplet.tail])
    put("side", None if triplet.side == "tail" else triplet.side)


# --- the choices -----------------------------------------------------------------------------------------------


def choices(place: Address, kg: KnowledgeGraph, triplet: Triplet) -> None:
    known = known_tails(kg, triplet)
    relations = known_relations(kg, triplet.head)
    state = st.session_state
    state["triplet_head"], state["triplet_relation"], state["triplet_tail"] = (
        triplet.head,
        triplet.relation,
        triplet.tail,
    )

    def changed() -> None:
        picked = Triplet(
            state["triplet_head"], state["triplet_relation"], state["triplet_tail"], triplet.side
        )
        remember(place, kg, picked, by_person=True)

    one, two, three = st.columns(3)
    with one:
        st.selectbox(
            "Head",
            range(kg.num_entities),
            format_func=kg.entities.__getitem__,
            key="triplet_head",
            on_change=changed,
            help="Type to search.",
        )
    with two:
        others = [number for number in range(kg.num_relations) if number not in relations]
        st.selectbox(
            "Relation",
            [*relations, *others],
            format_func=lambda number: CHECK * (number in relations) + kg.relations[number],
            key="triplet_relation",
            on_change=changed,
            help="Those with ✓ have a known fact with this head, and stand first.",
        )
    with three:
        others = [number for number in range(kg.num_entities) if number not in known]
        st.selectbox(
            "Tail",
            [*known, *others],
            format_func=lambda number: CHECK * (number in known) + kg.entities[number],
            key="triplet_tail",
            on_change=changed,
            help="Those with ✓ are known answers of head and relation, and stand first.",
        )


def known_tails(kg: KnowledgeGraph, triplet: Triplet) -> dict[int, None]:
    answers = kg.answers(triplet.head, triplet.relation)
    return dict.fromkeys(sorted({int(i) for ids in answers.values() for i in ids}))


def known_relations(kg: KnowledgeGraph, head: int) -> dict[int, None]:
    facts = np.concatenate([kg.array(split) for split in ("train", "valid", "test")])
    return dict.fromkeys(np.unique(facts[facts[:, 0] == head, 1]).tolist())


def options(place: Address, kg: KnowledgeGraph, draws: str, which: str, weights: list, fakes: bool) -> None:
    def pick_random() -> None:
        facts = kg.array("test") if len(kg.array("test")) else kg.array("train")
        fact = facts[np.random.default_rng().integers(len(facts))]
        remember(place, kg, Triplet(*map(int, fact), place.raw("side") or "tail"), by_person=True)

    def draw_again() -> None:
        st.session_state["triplet_seed"] = st.session_state.get("triplet_seed", 0) + 1

    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        choice(
            place,
            "side",
            "Replace",
            SIDES if fakes else RANDOM_SIDES,
            place.raw("side") or "tail",
            "Fake heads are made as fake tails of the reciprocal relation: (t, r⁻¹, ?)."
            if fakes
            else "Which side of the triplet a random entity takes the place of.",
        )
        choice(
            place,
            "draws",
            "From each source",
            DRAWS,
            draws,
            "Negatives drawn from G_E, from G_R and at random." if fakes else "Negatives drawn at random.",
        )
        if len(weights) > 1:
            choice(
                place, "weights", "Weights", WEIGHTS, which, "Best epoch: where the valid MRR was highest."
            )
        st.button(
            "Draw again", icon=":material/casino:", on_click=draw_again, help="The same triplet, other noise."
        )
        st.button("Random test triplet", icon=":material/shuffle:", on_click=pick_random)


def choice(place: Address, name: str, label: str, known: dict[str, str], value: str, words: str) -> None:
    key = f"triplet_{name}"
    default = next(iter(known))
    st.session_state[key] = value
    st.segmented_control(
        label,
        list(known),
        format_func=known.__getitem__,
        key=key,
        required=True,
        on_change=lambda: place.choose(
            name, None if st.session_state[key] == default else st.session_state[key]
        ),
        help=words,
    )


# --- what is shown ---------------------------------------------------------------------------------------------


def inspected(run: Run, kg: KnowledgeGraph, triplet: Triplet, draws: int, which: str, seed: int) -> None:
    query = triplet.query(kg)
    seen, epoch = inspecting.inspect(run, kg, which, query, draws, seed)
    names = (kg.entities[triplet.head], kg.relations[triplet.relation], kg.entities[triplet.tail])
    lines = [triplet_table.known_line(names, kg.split_of(triplet.head, triplet.relation, triplet.tail))]
    lines += triplet_table.verdicts(seen)
    if run.config.sampler == "uniform":
        lines.append("This run trains with random negatives only, so there are no fakes.")
    elif epoch <= run.config.warmup_epochs:
        lines.append(
            f"The weights are of epoch {epoch:,}, and warm-up lasts to {run.config.warmup_epochs:,}: the GAN has "
            "learned nothing yet, and its fakes are chance."
        )
    st.markdown("  \n".join(lines))
    st.plotly_chart(
        triplet_table.strip(seen),
        key="triplet_strip",
        config={"displayModeBar": False, "showSendToCloud": False},
        alt=triplet_table.alt(seen),
    )
    rows = triplet_table.table(seen)
    st.dataframe(
        rows if run.config.sampler == "dans" else rows.drop(columns=["D_adv", "D_aux"]),
        hide_index=True,
        height="content" if len(rows) < 20 else 560,
        column_config=columns("head" if triplet.side == "head" else "tail"),
        alt="The positive and its negatives, one a row.",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Download these negatives",
            rows.to_csv(index=False),
            file_name=f"negatives-{run.id}.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.caption(
            f"Weights of epoch {epoch:,}, draw {seed + 1}. A fake is a vector, read by its nearest entity; "
            "a small cosine means it is like none."
        )


def columns(side: str) -> dict:
    column = st.column_config
    return {
        "source": column.TextColumn("Source", help="Who made it.", pinned=True),
        "nearest entity": column.TextColumn(
            f"Nearest {side}",
            help="The nearest entity by cosine. A random negative and the positive are entities themselves.",
        ),
        "score": column.NumberColumn(
            "Score", format="%.2f", help="By the decoder: the higher, the more the model believes it."
        ),
        "against positive": column.NumberColumn(
            "Against positive",
            format="%+.2f",
            help="Score minus the positive’s. Above 0 the model prefers the negative.",
        ),
        "known fact": column.TextColumn(
            "Known fact", help="The split in which it is a fact with its nearest entity: a false negative."
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
    }


def nothing_yet(run: Run) -> None:
    live = run.is_live or run.status.state == "queued"
    if not live:
        st.info(
            "This run kept no weights, so its negatives cannot be made again. Choose another run above.",
            icon=":material/conversion_path:",
        )
        return
    st.info(
        "No weights yet: the first come with the first ranking, after "
        f"{snapshots.count(run.config.eval_every, 'epoch')}. This page looks for them by itself.",
        icon=":material/hourglass_top:",
    )

    @st.fragment(run_every=2.0)
    def tick() -> None:
        if inspecting.checkpoints(run) or not (run.is_live or run.status.state == "queued"):
            st.rerun()

    tick()


shell.guard()
show()
