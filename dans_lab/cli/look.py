"""The commands that look at a run: `evaluate` and `inspect`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from dans_data.errors import InputError
from dans_data.words import number
from dans_lab import warm_up
from dans_lab.cli.output import print_json, print_table
from dans_lab.halves import Stratum, strata
from dans_lab.names import METRICS, UNSEEN, about_fakes, unseen_of
from dans_lab.runs.run import Run, Which, open_run, usual_weights
from dans_lab.worth import warnings

if TYPE_CHECKING:
    from dans_core.kg import KnowledgeGraph
    from dans_core.networks import Networks
    from dans_core.ranking import Metrics
    from dans_lab.inspection import Row

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or the path of its folder.")]
RunOrModel = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, or the path of its folder or of an exported one.")
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="best|last",
        help="Weights of the best valid epoch, or the last.",
        show_default="best; last without a valid split",
    ),
]
LAST_COUNT = "There is no valid split to say which epoch is the best, so these are the last weights."
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")]


def evaluate(
    run: RunOrModel,
    split: Annotated[str, typer.Option(metavar="train|valid|test", help="Which triplets to rank.")] = "test",
    checkpoint: Weights = None,
    json: Json = False,
) -> None:
    """Filtered ranking of a split, beside the floor of ranking by slot popularity alone."""
    which = which_of(checkpoint)
    from dans_lab.prediction import load_run

    found = load_run(run, which)
    kg = found.kg
    result, floor = found.evaluate(split), found.floor(split)
    both = result.ranks.numpy(), floor.ranks.numpy()
    wrong = warnings(kg, split, *both)
    if json:
        record = _metrics(result)
        record |= {"tail": _metrics(result.tail), "head": _metrics(result.head)}
        record["seen"] = result.seen and _metrics(result.seen)
        record["floor"] = _metrics(floor) | {"tail": _metrics(floor.tail), "head": _metrics(floor.head)}
        record["floor"]["seen"] = floor.seen and _metrics(floor.seen)
        record["halves"] = [dataclasses.asdict(stratum) for stratum in strata(kg, split, *both)]
        record["relations"] = {name: _metrics(metrics) for name, metrics in result.relations.items()}
        record |= {"run": found.run.id, "dataset": kg.name, "split": split, "warnings": wrong}
        record |= {"checkpoint": found.which, "epoch": found.epoch}
        print_json(record | {"warm_up": warm_up.unmet(found.config, found.epoch)})
        return
    if not result.count:
        print(f"{kg.name} has no {split} triplets, so there is nothing to rank")
        return
    rows = []
    for source, ranked in (("run", result), ("popularity floor", floor)):
        parts = [("both sides", ranked), ("tail", ranked.tail), ("head", ranked.head)]
        parts += [("both sides, seen", ranked.seen)] if ranked.seen else []
        for side, metrics in parts:
            values = [getattr(metrics, name) for name in METRICS]
            rows.append([source, side, *map(number, values), f"{metrics.count:,}"])
    headings = [*METRICS.values(), "queries"]
    columns = [("ranked by", False), ("side", False), *((heading, True) for heading in headings)]
    title = f"{found.run.id}: {kg.name} {split}, {found.which} weights, epoch {found.epoch}"
    print_table(title, columns, rows)
    for each in wrong:
        print(f"warning: {each}")
    if early := warm_up.told(found.config, found.epoch):
        print(early)
    if not len(kg.valid):
        print(LAST_COUNT)
    if split != "train":
        _print_halves(strata(kg, split, *both))
    if result.seen is not None:
        every = len(result.ranks)
        print(
            f"{UNSEEN}: {unseen_of(every - result.seen.count // 2, every, split)}. The seen ones are ranked apart."
        )


def _print_halves(found: list[Stratum]) -> None:
    rows = [
        [each.halves, f"{each.triplets:,}", f"{100 * each.share:.0f} %", number(each.mrr), number(each.floor)]
        for each in found
    ]
    columns = [("train shows", False), ("triplets", True), ("share", True), ("MRR", True), ("floor", True)]
    print_table(
        "by what train shows of a triplet (h, r, t): its halves are (h, r, ?) and (?, r, t)", columns, rows
    )


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
    checkpoint: Weights = None,
    json: Json = False,
) -> None:
    """The negatives of one triplet from each source: nearest entity, scores, D's opinion, known fact or not."""
    named = which_of(checkpoint)
    if side not in ("tail", "head"):
        raise InputError(f"side = {side!r}: must be one of tail, head")
    found = open_run(run, paths=True)
    kg = found.load_kg()
    which = named or usual_weights(kg)
    head, relation, tail = kg.entity_id(triplet[0]), kg.relation_id(triplet[1]), kg.entity_id(triplet[2])
    if side == "head":
        # Fake heads of (h, r, t) are fake tails of its reciprocal (t, r⁻¹, h).
        head, tail = tail, head
        relation = (relation + kg.num_relations) % (2 * kg.num_relations)
    fact = kg.split_of(head, relation, tail)
    networks, epoch = _networks(found, kg, which)
    sampler, fakes = found.config.declaration, found.config.fakes
    from dans_lab.inspection import Question, Trained, inspect_triplet

    seen = inspect_triplet(Trained.of(networks, kg, found.config), Question(head, relation, tail, draws))
    if json:
        record = {"run": found.id, "dataset": found.meta.dataset, "checkpoint": which, "epoch": epoch}
        record |= {
            "warm_up": warm_up.unmet(found.config, epoch),
            "triplet": list(triplet),
            "side": side,
            "fact": fact,
        }
        rows = [dataclasses.asdict(row) for row in (seen.positive, *seen.negatives)]
        print_json(record | {"rows": rows})
        return
    if fact is None:
        print(f"({', '.join(triplet)}) is no known fact of {kg.name}; its negatives all the same:")
    if early := warm_up.told(found.config, epoch):
        print(early + (" Try --checkpoint last." if which == "best" else ""))
    if not fakes:
        print(sampler.no_fakes)
    elif what := about_fakes(found.config):
        print(what)
    title = f"{' — '.join(triplet)}: negatives for the {side}, {which} weights, epoch {epoch}"
    own = "proposed" if fakes else sampler.name
    _print_negatives(title, [seen.positive, *seen.negatives], side, tail, own)


def _print_negatives(title: str, rows: list[Row], side: str, answer: int, own: str) -> None:
    """The table for people, and what its columns mean; those that no row has anything for are left out.

    `own` is what the negatives are called that the run's own sampler chose.
    """
    columns: list[tuple[str, list[str]]] = [
        ("from", [own if row.source == "sampler" else row.source for row in rows]),
        (f"nearest {side}", [row.nearest for row in rows]),
        ("cosine", [number(row.cosine) for row in rows]),
        ("length", [number(row.scale) for row in rows]),
        ("score", [number(row.score) for row in rows]),
        ("D real", [number(row.d_adv) for row in rows]),
        ("D G_R", [number(row.d_aux) for row in rows]),
        ("weight", [number(row.weight) for row in rows]),
        ("fact", [_fact(row, answer) for row in rows]),
    ]
    shown = {name: cells for name, cells in columns if set(cells) != {number(None)}}
    words = ("from", f"nearest {side}", "fact")
    cells = [list(row) for row in zip(*shown.values(), strict=True)]
    print_table(title, [(name, name not in words) for name in shown], cells)
    about = {
        "cosine": "cosine: to the nearest entity. length: 1 is the median entity.",
        "D real": "D real: the probability D gives to being real.",
        "D G_R": "D G_R: the probability D gives to being made by G_R.",
        "weight": "weight: how much the sampler makes a negative count; 1 is the mean.",
        "fact": "A negative whose nearest entity makes a known fact is a false one.",
    }
    print("\n".join(text for name, text in about.items() if name in shown))


def _fact(row: Row, answer: int) -> str:
    """Whether it makes a known fact, for people."""
    if row.source == "positive":
        return row.known or "no"
    if row.nearest_id == answer:
        return f"false negative ({row.known}, the answer)" if row.known else "no (the answer)"
    return f"false negative ({row.known})" if row.known else "no"


def which_of(checkpoint: str | None) -> Which | None:
    """Which weights a person names, if any. Raises InputError for another word."""
    if checkpoint is None:
        return None
    for which in get_args(Which):
        if checkpoint == which:
            return cast(Which, which)
    raise InputError(f"checkpoint = {checkpoint!r}: must be one of best, last")


def _networks(run: Run, kg: KnowledgeGraph, which: Which) -> tuple[Networks, int]:
    """The networks of a checkpoint, and the epoch they are of."""
    state = run.load_checkpoint(which)
    from dans_lab.runs.weights import epoch_of, load_weights

    return load_weights(state, kg, run.config), epoch_of(state, which)


def _metrics(metrics: Metrics) -> dict[str, Any]:
    return {name: getattr(metrics, name) for name in (*METRICS, "count")}
