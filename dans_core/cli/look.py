"""The commands that look at a run: `evaluate` and `inspect`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from dans_core.cli.output import number, print_json, print_table
from dans_core.errors import InputError
from dans_core.runs import Run, Which, open_run

if TYPE_CHECKING:
    from dans_core.inspection import Row
    from dans_core.kg import KnowledgeGraph
    from dans_core.networks import Networks
    from dans_core.ranking import Metrics

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or the path of its folder.")]
Weights = Annotated[
    str, typer.Option(metavar="best|last", help="Weights of the best valid epoch, or the last.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")]


def evaluate(
    run: RunArgument,
    split: Annotated[str, typer.Option(metavar="train|valid|test", help="Which triplets to rank.")] = "test",
    checkpoint: Weights = "best",
    json: Json = False,
) -> None:
    """Filtered ranking of a split, beside the floor of ranking by slot popularity alone."""
    which = _which(checkpoint)
    found = open_run(run, paths=True)
    kg = found.load_kg()
    kg.array(split)
    networks, epoch = _networks(found, kg, which)
    from dans_core.ranking import evaluate as rank
    from dans_core.ranking import popularity_floor

    result, floor = rank(networks.model, kg, split), popularity_floor(kg, split)
    if json:
        record = _metrics(result)
        record |= {"tail": _metrics(result.tail), "head": _metrics(result.head)}
        record["floor"] = _metrics(floor) | {"tail": _metrics(floor.tail), "head": _metrics(floor.head)}
        record["relations"] = {name: _metrics(metrics) for name, metrics in result.relations.items()}
        record |= {"run": found.id, "dataset": found.meta.dataset, "split": split}
        print_json(record | {"checkpoint": which, "epoch": epoch})
        return
    if not result.count:
        print(f"{kg.name} has no {split} triplets, so there is nothing to rank")
        return
    rows = []
    for source, ranked in (("run", result), ("popularity floor", floor)):
        for side, metrics in (("both sides", ranked), ("tail", ranked.tail), ("head", ranked.head)):
            values = (
                metrics.mrr,
                metrics.hits_at_1,
                metrics.hits_at_3,
                metrics.hits_at_10,
                metrics.ndcg_at_5,
            )
            rows.append([source, side, *map(number, values), f"{metrics.count:,}"])
    headings = ["MRR", "H@1", "H@3", "H@10", "NDCG@5", "queries"]
    columns = [("ranked by", False), ("side", False), *((heading, True) for heading in headings)]
    print_table(f"{found.id}: {kg.name} {split}, {which} weights, epoch {epoch}", columns, rows)


def inspect(
    run: RunArgument,
    triplet: Annotated[
        tuple[str, str, str],
        typer.Option(metavar="HEAD RELATION TAIL", help="Names of the triplet whose negatives to show."),
    ],
    side: Annotated[
        str, typer.Option(metavar="tail|head", help="Which side the negatives replace.")
    ] = "tail",
    draws: Annotated[int, typer.Option(min=1, max=1000, help="Negatives from each source.")] = 5,
    checkpoint: Weights = "best",
    json: Json = False,
) -> None:
    """The negatives of one triplet from each source: nearest entity, scores, D's opinion, known fact or not."""
    which = _which(checkpoint)
    if side not in ("tail", "head"):
        raise InputError(f"side = {side!r}: must be one of tail, head")
    found = open_run(run, paths=True)
    kg = found.load_kg()
    head, relation, tail = kg.entity_id(triplet[0]), kg.relation_id(triplet[1]), kg.entity_id(triplet[2])
    if side == "head":
        # Fake heads of (h, r, t) are fake tails of its reciprocal (t, r⁻¹, h).
        head, tail = tail, head
        relation = (relation + kg.num_relations) % (2 * kg.num_relations)
    fact = kg.split_of(head, relation, tail)
    networks, epoch = _networks(found, kg, which)
    warm_up = found.config.warmup_epochs if found.config.sampler == "dans" else -1
    from dans_core.inspection import inspect_triplet

    seen = inspect_triplet(networks, kg, found.config, head, relation, tail, draws)
    if json:
        record = {"run": found.id, "dataset": found.meta.dataset, "checkpoint": which, "epoch": epoch}
        record |= {"warm_up": epoch <= warm_up, "triplet": list(triplet), "side": side, "fact": fact}
        rows = [dataclasses.asdict(row) for row in (seen.positive, *seen.negatives)]
        print_json(record | {"rows": rows})
        return
    if fact is None:
        print(f"({', '.join(triplet)}) is no known fact of {kg.name}; its negatives all the same:")
    columns = [("from", False), (f"nearest {side}", False)]
    columns += [(heading, True) for heading in ("cosine", "length", "score", "D real", "D G_R")]
    columns += [("fact", False)]
    shown = [_cells(row, tail) for row in (seen.positive, *seen.negatives)]
    if epoch <= warm_up:
        print(
            f"These weights are of epoch {epoch}, within the warm-up of {warm_up}: the GAN had not begun to learn."
            + (" Try --checkpoint last." if which == "best" else "")
        )
    title = f"{' — '.join(triplet)}: negatives for the {side}, {which} weights, epoch {epoch}"
    print_table(title, columns, shown)
    print(
        "cosine: to the nearest entity. length: 1 is the median entity. D real, D G_R: the probability D gives to"
    )
    print(
        "being real, and to being made by G_R. A negative whose nearest entity makes a known fact is a false one."
    )


def _cells(row: Row, answer: int) -> list[str]:
    """One row of the table for people."""
    known = "no"
    if row.source == "positive":
        known = row.known or "no"
    elif row.nearest_id == answer:
        known = f"false negative ({row.known}, the answer)" if row.known else "no (the answer)"
    elif row.known:
        known = f"false negative ({row.known})"
    values = (row.cosine, row.scale, row.score, row.d_adv, row.d_aux)
    return [row.source, row.nearest, *map(number, values), known]


def _which(checkpoint: str) -> Which:
    for which in get_args(Which):
        if checkpoint == which:
            return cast(Which, which)
    raise InputError(f"checkpoint = {checkpoint!r}: must be one of best, last")


def _networks(run: Run, kg: KnowledgeGraph, which: Which) -> tuple[Networks, int]:
    """The networks of a checkpoint, and the epoch they are of."""
    state = run.load_checkpoint(which)
    from dans_core.networks import load_weights

    epoch = state["progress"]["epoch"] if which == "last" else state["epoch"]
    return load_weights(state, kg, run.config), int(epoch)


def _metrics(metrics: Metrics) -> dict[str, Any]:
    names = ("mrr", "hits_at_1", "hits_at_3", "hits_at_10", "ndcg_at_5", "count")
    return {name: getattr(metrics, name) for name in names}
