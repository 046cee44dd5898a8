"""Screen Compare: two or more runs side by side, what differs first and what the numbers can show after it."""

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dans_app.compare import chosen_runs, differences, rank_comparison, words
from dans_app.compare.chosen_runs import SPLITS, RankingOptions, Runs
from dans_app.map import together as map_together
from dans_app.map import view as map_view
from dans_app.server import graph, inspecting, loading
from dans_app.shared import curves, dialogs, exports, run_state, shell, theme, url_values
from dans_app.shared.address import Address
from dans_app.shared.words import capital
from dans_core.kg import KnowledgeGraph
from dans_data.errors import InputError
from dans_data.metrics import TERMS
from dans_data.words import count, listed, plural
from dans_lab import halves, warm_up
from dans_lab.map import plate as map_plate
from dans_lab.map.relation_view import relation_label
from dans_lab.names import METRICS

TICK = 1.0
ON_TEST = (
    "Choose on valid, look at test once: a number by which something was chosen looks better than it is."
)
METRIC_HELP = (
    "MRR: the mean of 1 / rank of the true answer. H@k: the share of answers ranked k or better. NDCG@5: "
    "1 / log₂(1 + rank) up to rank 5, else 0."
)

Graphs = dict[str, KnowledgeGraph]
Ranks = dict[str, rank_comparison.Ranks]


def show() -> None:
    bar = shell.head("Compare")
    st.caption("Runs side by side: in what they differ, how they learned, and whether one ranks better.")
    shell.narrow_hint("The other pages are behind the arrows at the top left.")
    place = Address("compare", "")
    runs, options, of_these = chosen_runs.choose(place)
    shell.toolbar(bar, None)
    if len(runs) < 2:
        st.info(
            "Two runs are needed. The fairest pair is a run and its twin, the same with the other sampler, which the "
            "Train page can start.",
            icon=":material/compare_arrows:",
        )
        return
    st.markdown("  \n".join(words.legend(runs)))
    settings(runs)
    verdict_place = st.container()
    with verdict_place:
        choices(place, runs, options)
    curves_together(runs)
    with verdict_place:
        # After the curves, which need not wait: ranking may take seconds.
        graphs = data_sets(runs)
        ranks = all_ranks(runs, graphs, options)
        comparable = {
            letter: ranks[letter] for letter in ranks if chosen_runs.same_data(runs["A"], runs[letter])
        }
        verdict(runs, comparable, graphs, options)
    metrics(runs, ranks, graphs, options)
    strata(runs, comparable, graphs, options)
    with shell.told("The maps cannot be drawn"):
        maps(
            place,
            {letter: run for letter, run in runs.items() if chosen_runs.same_data(runs["A"], run)},
            graphs,
        )
    relations(of_these, comparable, graphs, options)


# --- settings --------------------------------------------------------------------------------------------------


def settings(runs: Runs) -> None:
    st.header("What differs", anchor=False)
    table = differences.differing(runs)
    st.markdown("  \n".join(differences.in_words(table, list(runs))))
    if len(table):
        st.dataframe(
            table,
            hide_index=True,
            height="content",
            column_config=setting_columns(table),
            alt=f"{count(len(table), 'setting')} that the runs do not share, a column for each run.",
        )
        exports.table(table, "Settings that differ")
    rest = differences.alike(runs)
    label = f"All {'other ' if len(table) else ''}{len(rest)} settings are the same"
    with st.expander(label, icon=":material/equal:", key="compare_alike_open", on_change="rerun") as alike:
        if alike.open:
            st.dataframe(
                rest,
                hide_index=True,
                height="content",
                column_config=setting_columns(rest),
                alt="The settings that all runs share.",
            )


def setting_columns(table: pd.DataFrame) -> dict[str, ColumnConfig]:
    column = st.column_config.TextColumn
    return {name: column(width="small") for name in table.columns} | {
        "Setting": column(pinned=True),
        "What it does": column(width="large"),
    }


# --- curves ----------------------------------------------------------------------------------------------------


def curves_together(runs: Runs) -> None:
    st.header("Curves", anchor=False)
    st.caption(words.about_curves(runs))
    every = list(runs.values())
    configs, looks = [run.config for run in every], theme.LOOKS[: len(runs)]
    same = all(chosen_runs.same_data(every[0], run) for run in every)
    floor = graph.floor_mrr(every[0].meta.source, every[0].meta.hash) if same else None
    before = [run_state.under_way(run.status) for run in every]

    @st.fragment(run_every=TICK if any(before) else None)
    def ticking() -> None:
        with shell.told("The curves cannot be drawn"):
            now = [run_state.under_way(run.status) for run in every]
            if now != before:
                dialogs.redraw()
            curves.show(
                curves.shared_panels(run_state.histories(*every), configs, looks, now, floor),
                key="shared_curves",
            )

    ticking()


# --- ranks and the paired test ---------------------------------------------------------------------------------


def choices(place: Address, runs: Runs, options: RankingOptions) -> None:
    st.header("Does one rank better?", anchor=False)
    weights = {name: theme.WEIGHTS[name] for name in chosen_runs.weights_of(runs.values())}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        place.segmented("split", "Ranked on", SPLITS, options.split, ON_TEST)
        place.segmented("metric", "Measure", METRICS, options.metric, METRIC_HELP)
        if len(weights) > 1:
            place.segmented("weights", "Weights", weights, options.weights, theme.WEIGHTS_HELP)
    if options.split == "test":
        st.caption(ON_TEST)


def data_sets(runs: Runs) -> Graphs:
    """The data set of each run, with a sentence on each that is gone."""
    graphs = {}
    for letter, run in runs.items():
        with shell.told(f"{letter} cannot be ranked"):
            graphs[letter] = loading.graph(run)
    return graphs


def all_ranks(runs: Runs, graphs: Graphs, options: RankingOptions) -> Ranks:
    """The ranks of each run, with a sentence on each that cannot be ranked."""
    found: Ranks = {}
    if not may_rank(graphs, options.split):
        return found
    for letter, kg in graphs.items():
        size = len(kg.array(options.split))
        with (
            shell.told(f"{letter} cannot be ranked"),
            st.spinner(f"Ranking {count(size, 'triplet')} with {letter} …"),
        ):
            if not size:
                raise InputError(f"its data set has no triplets in {options.split}")
            found[letter] = inspecting.ranks(runs[letter], kg, options.weights, options.split)
    return found


def may_rank(graphs: Graphs, split: str) -> bool:
    """Whether ranking takes but a moment, or was asked for; else the button that asks."""
    cost = sum(2 * len(kg.array(split)) * kg.num_entities for kg in graphs.values())
    data = {(kg.hash, split) for kg in graphs.values()}
    asked = st.session_state.setdefault("compare_asked", set())
    if cost <= chosen_runs.LARGE or data <= asked:
        return True
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Rank with every run", icon=":material/leaderboard:", on_click=asked.update, args=(data,))
        most = max(len(kg.array(split)) for kg in graphs.values())
        st.caption(f"{count(most, 'triplet')} against every entity: this may take a minute.")
    return False


def verdict(runs: Runs, ranks: Ranks, graphs: Graphs, options: RankingOptions) -> None:
    """Each run against A over the same triplets."""
    others = [letter for letter, run in runs.items() if not chosen_runs.same_data(runs["A"], run)]
    if others:
        verb, them = plural(len(others), "was", "were"), plural(len(others), "it", "them")
        st.info(
            f"{listed(others)} {verb} trained on other data than A: settings and curves can be compared, but "
            f"the paired test and the table of relations need the same triplets, and leave {them} out.",
            icon=":material/database:",
        )
    if "A" not in ranks or len(ranks) < 2:
        return
    ranks, withheld = comparable_weights(runs, ranks, options)
    if withheld:
        st.warning(withheld, icon=":material/hourglass_top:")
    if len(ranks) < 2:
        return
    metric, split = options.metric, options.split
    base = inspecting.floor_ranks(runs["A"], graphs["A"], options.weights, split)
    floor = float(TERMS[metric](base).mean())
    histories = run_state.histories(*(runs[letter] for letter in ranks))
    gains = {letter: each.late_gain for letter, each in zip(ranks, histories, strict=True)}
    found = tested(ranks, metric, floor, gains)
    lines = [rank_comparison.sentence(each, "A", metric) for each in found]
    groups = differences.seed_groups({letter: runs[letter] for letter in ranks})
    st.markdown("  \n".join([*lines, rank_comparison.seed_note(groups, ranks)]))
    exports.chart(
        rank_comparison.forest(found, "A", metric),
        key="compare_forest",
        alt=rank_comparison.forest_alt(found, "A", metric),
        name=f"Differences in {METRICS[metric]}, {split}",
        rows=rank_comparison.verdict_table(found, "A", metric),
    )
    st.caption(rank_comparison.how(found, split))
    under_way = [letter for letter in ranks if run_state.under_way(runs[letter].status)]
    if under_way:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button("Rank again", icon=":material/refresh:")
            st.caption(f"Still training: {listed(under_way)}. These are the weights so far.")


def comparable_weights(runs: Runs, ranks: Ranks, options: RankingOptions) -> tuple[Ranks, str]:
    """The ranks of weights from after the warm-up, none without A; and why no verdict is given on the others."""
    why = {letter: warm_up.withheld(letter, runs[letter], options.weights) for letter in ranks}
    met = {letter: found for letter, found in ranks.items() if not why[letter]}
    reasons = [reason for reason in why.values() if reason]
    if not reasons:
        return ranks, ""
    return met if "A" in met else {}, f"No verdict: {'. '.join(capital(reason) for reason in reasons)}."


@st.cache_data(max_entries=64, show_spinner=False)
def tested(
    ranks: Ranks, metric: str, floor: float, gains: dict[str, float | None]
) -> list[rank_comparison.Verdict]:
    return rank_comparison.verdicts(ranks, metric, floor, gains)


# --- metrics ---------------------------------------------------------------------------------------------------


def metrics(runs: Runs, ranks: Ranks, graphs: Graphs, options: RankingOptions) -> None:
    if not ranks:
        return
    split = options.split
    st.header(f"Metrics on {split}", anchor=False)
    # One of the runs on each data set.
    of_data = {graphs[letter].hash: letter for letter in reversed(ranks)}
    floors = {
        "Floor" if len(of_data) == 1 else f"Floor, data of {letter}": inspecting.floor_ranks(
            runs[letter], graphs[letter], options.weights, split
        )
        for letter in sorted(of_data.values())
    }
    table = rank_comparison.metric_table(ranks | floors)
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        column_config={name: st.column_config.NumberColumn(format="%.3f") for name in METRICS.values()},
        alt=rank_comparison.metrics_alt(table, split),
    )
    exports.table(table, f"Metrics on {split}")
    st.caption(words.about_weights({letter: runs[letter] for letter in ranks}, options.weights))


def strata(runs: Runs, ranks: Ranks, graphs: Graphs, options: RankingOptions) -> None:
    """What train shows of the triplets, and how the runs on the data of A rank each kind."""
    if "A" not in ranks or not ranks["A"].size:
        return
    with st.expander(
        "MRR by what train shows", icon=":material/join_inner:", key="compare_strata", on_change="rerun"
    ) as opened:
        if opened.open:
            floor = inspecting.floor_ranks(runs["A"], graphs["A"], options.weights, options.split)
            table = rank_comparison.strata_table(ranks, floor, graphs["A"], options.split)
            st.caption(halves.ABOUT)
            st.dataframe(
                table,
                hide_index=True,
                height="content",
                column_config={
                    name: st.column_config.NumberColumn(format="%.3f") for name in ("Floor", *ranks)
                }
                | {"Share": st.column_config.NumberColumn(format="percent")},
                alt=f"MRR on {options.split} of the floor and each run, by how many halves of a triplet train shows.",
            )
            exports.table(table, f"MRR on {options.split} by halves")


# --- maps ------------------------------------------------------------------------------------------------------


def maps(place: Address, runs: Runs, graphs: Graphs) -> None:
    """The runs on the same data in one space, with epoch, zoom and selection in common."""
    runs = {letter: run for letter, run in runs.items() if letter in graphs}
    if len(runs) < 2:
        return
    with st.expander(
        "Maps side by side", icon=":material/scatter_plot:", key="compare_maps_open", on_change="rerun"
    ) as opened:
        if opened.open:
            draw_maps(place, runs, graphs["A"])


def draw_maps(place: Address, runs: Runs, kg: KnowledgeGraph) -> None:
    relation, problem = url_values.relation(place.raw("relation"), kg)
    if problem:
        st.warning(problem, icon=":material/link_off:")
    place.keep("relation", kg.relation_name(relation))
    st.session_state["compare_relation"] = relation
    st.selectbox(
        "Relation of the maps",
        range(2 * kg.num_relations),
        format_func=lambda number: relation_label(kg, number),
        key="compare_relation",
        on_change=lambda: place.choose("relation", kg.relation_name(st.session_state["compare_relation"])),
        help="Type to search. A name with ⁻¹ is the same relation read backwards.",
    )
    epochs = {letter: loading.all_shown_epochs(run, kg) for letter, run in runs.items()}
    bare = [letter for letter in runs if not epochs[letter]]
    if bare:
        st.info(f"{' and '.join(bare)} kept no snapshots, so there is no map of it.")
    shown = {
        letter: loading.frames(run, epochs[letter], kg) for letter, run in runs.items() if letter not in bare
    }
    if not shown:
        return
    try:
        made = map_together.together(shown)
    except ValueError as error:
        st.info(f"These runs cannot share a space: {error}.")
        return
    plates = [
        map_plate.plate(
            f"{letter} · {shell.describe(runs[letter])}",
            runs[letter].id,
            loading.view(runs[letter], epochs[letter], kg, relation),
            frames,
            kg,
            made.series[letter],
            bounds=made.bounds,
        )
        for letter, frames in shown.items()
    ]
    token = " ".join([runs[letter].id for letter in shown])
    map_view.show(
        map_plate.payload(plates, token, epoch=None, layers=map_plate.DEFAULT_LAYERS), "compare_maps"
    )
    first, *others = made.agreement.items()
    words = ", ".join(f"{letter} {share:.0%}" for letter, share in others)
    st.caption(
        "One PCA of all. Two runs have no axes in common, so each was turned, never stretched, until its entities came "
        f"nearest to {first[0]}’s. So turned, the entities of {first[0]} account for this share of the spread of the "
        f"others’: {words}. Epoch, zoom and selection are shared: what you select on one map is marked on all."
    )


# --- relations -------------------------------------------------------------------------------------------------


def relations(place: Address, ranks: Ranks, graphs: Graphs, options: RankingOptions) -> None:
    """Where the difference comes from: A and another run on each relation."""
    if "A" not in ranks or len(ranks) < 2:
        return
    st.header("Relation by relation", anchor=False)
    others = {letter: letter for letter in ranks if letter != "A"}
    other, problem = url_values.one_of(place.raw("other"), "other", list(others))
    if problem:
        st.warning(problem, icon=":material/link_off:")
    if len(others) > 1:
        place.segmented(
            "other", "A beside", others, other, "The run whose relations stand beside those of A."
        )
    letters, metric = ("A", other), options.metric
    rows = rank_comparison.relations(
        {each: ranks[each] for each in letters}, graphs["A"], options.split, metric
    )
    st.caption(rank_comparison.about_relations(rows, letters, options.split, metric))
    exports.chart(
        rank_comparison.dumbbells(rows, letters, metric),
        key="compare_relations",
        alt=rank_comparison.dumbbells_alt(rows, letters, metric),
        name=f"{METRICS[metric]} by relation, {options.split}",
    )
    with st.expander(
        "The relations as a table", icon=":material/table:", key="compare_relations_open", on_change="rerun"
    ) as table:
        if table.open:
            relation_table(rows, letters, options.split)


def relation_table(rows: pd.DataFrame, letters: tuple[str, str], split: str) -> None:
    first, other = letters
    number = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(
        rows,
        hide_index=True,
        height="content" if len(rows) < 20 else 560,
        column_config={
            "Relation": st.column_config.TextColumn(pinned=True),
            first: number,
            other: number,
            "Difference": st.column_config.NumberColumn(format="%+.3f", help=f"{other} minus {first}."),
            "Few": st.column_config.CheckboxColumn(help=f"Fewer than {rank_comparison.FEW} triplets."),
        },
        alt=f"The relations of {split}, sorted by how far {other} is ahead of {first}.",
    )
    exports.table(rows, f"Relations of {first} and {other}, {split}")


shell.guard()
show()
