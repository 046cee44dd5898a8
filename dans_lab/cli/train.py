"""The command `train`: a new run, or one that goes on."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from dans_core.config import Config, choices, parse
from dans_data.complaints import did_you_mean
from dans_data.errors import InputError
from dans_data.words import duration, number, seconds_in_words
from dans_lab import warm_up
from dans_lab.apart import as_name, differing
from dans_lab.budget import estimates as budget
from dans_lab.budget.recipe import chosen_for_size, config_for
from dans_lab.budget.sizes import Sizes
from dans_lab.cli.download import bring
from dans_lab.failing import EVERY, FAILING
from dans_lab.going_on import config_of, differences, ended_early, in_words
from dans_lab.presets import PRESETS
from dans_lab.ranks import joined
from dans_lab.runs.run import Run, list_runs, new_id, open_run, run_id_error, runs_dir, source_that_lasts
from dans_lab.runs.writer import RunWriter
from dans_lab.tracking import TRACKERS, Mirror, check, mirror

if TYPE_CHECKING:
    import torch

    from dans_core.kg import KnowledgeGraph
    from dans_core.training import Stage, Trainer
    from dans_lab.budget.experience import Expected
    from dans_lab.ranks.group import Ranks

COMMAND = "python -m dans_core"

_WORTH_TIMING = 5.0
"""Seconds that a run takes by the formulas alone, from which on the machine is timed for some seconds."""


def _setting(name: str, metavar: str = "NAME") -> Any:
    """An option for a setting: its help is the setting's own, and its value is checked with all the others."""
    info = Config.model_fields[name]
    names = choices(name)
    one_of = f" One of {', '.join(names)}." if names else ""
    return typer.Option(metavar=metavar, help=f"{info.description}{one_of}", show_default=str(info.default))


def train(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="With --resume, the run to go on with: its id or folder.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="A data set's name, a folder, or a file of triplets.",
            show_default="umls",
        ),
    ] = None,
    split_seed: Annotated[
        int | None,
        typer.Option(
            metavar="INTEGER",
            help="How one file of triplets is split into train, valid and test.",
            show_default="0",
        ),
    ] = None,
    decoder: Annotated[str | None, _setting("decoder")] = None,
    sampler: Annotated[str | None, _setting("sampler")] = None,
    epochs: Annotated[str | None, _setting("epochs", "INTEGER")] = None,
    seed: Annotated[str | None, _setting("seed", "INTEGER")] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(PRESETS),
            help=f"A set of settings to begin with; or, to see a run go wrong on purpose, {', '.join(FAILING)}.",
            show_default="default",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting; may be given more than once."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="The run's folder, or its name among the runs.", show_default="a new name"
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with RUN. With more --epochs than it has, a finished one is trained on, up to so many in all.",
        ),
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(metavar="INTEGER", help="Threads for tensors.", show_default="DANS_THREADS or 1"),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Train on this: auto, cpu, cuda or cuda:1. auto is DANS_DEVICE, else a GPU where there is one.",
        ),
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(metavar="float32|tf32", help="Of products on a GPU; tf32 is faster and less exact."),
    ] = "float32",
    shard_entities: Annotated[
        bool,
        typer.Option(
            "--shard-entities",
            help="With torchrun: each process holds a shard of the entity table, and draws negatives from its part of "
            "the graph.",
        ),
    ] = False,
    track: Annotated[
        list[str] | None,
        typer.Option(
            metavar="|".join(TRACKERS),
            help="Mirror settings, losses, rankings and warnings there while it trains; may be given more than once.",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line for each event.")
    ] = False,
) -> int:
    """Train a run. Ctrl-C stops it after the current stage, to be resumed; pressed twice, at once.

    Settings that are not given fit the size of the graph; what was chosen for it is printed first.
    """
    with joined(shard_entities) as others:
        if others is not None and others.rank > 0:
            from dans_lab.ranks.follow import follow

            return follow(others, device, precision, threads)
        check(track or [])
        where = _Where(device, precision, threads, others, shard_entities)
        named = {"decoder": decoder, "sampler": sampler, "epochs": epochs, "seed": seed}
        given = _settings(
            preset, {name: value for name, value in named.items() if value is not None}, set_ or []
        )
        if resume:
            found, more = _run_to_resume(_named(run, out), dataset, split_seed, given)
            return _go_on(found, more, where, json, track or [])
        if run is not None:
            raise InputError(
                f"{run!r}: a run is named here only with --resume; a new one gets its name by --out"
            )
        source = "umls" if dataset is None else dataset
        return _begin(source, split_seed, given, _new_path(out), where, json, track or [])


class _Where(NamedTuple):
    """Where a run is asked to be trained, and with which other processes, if any."""

    device: str
    precision: str
    threads: int | None
    others: Ranks | None
    shards: bool

    @property
    def processes(self) -> str:
        """As a run records it."""
        count = self.others.count if self.others else 1
        return f"{count} shards" if self.shards else str(count)


def _begin(
    source: str,
    split_seed: int | None,
    given: dict[str, Any],
    path: Path | None,
    where: _Where,
    json: bool,
    track: list[str],
) -> int:
    """Train a new run."""
    # Nonsense is told before a large graph is read.
    parse(given)
    place = _place(where)
    from dans_core.kg import KnowledgeGraph

    bring(source, quiet=json)
    kg = KnowledgeGraph.load(source, split_seed or 0)
    if split_seed is not None and kg.split_seed is None:
        raise InputError(f"--split-seed {split_seed}: {kg.name} is split already; leave it out")
    if where.shards and not len(kg.array("valid")):
        raise InputError(
            f"--shard-entities: {kg.name} has no valid split, and the table is put together only for the weights that "
            "rank it best; add one, or leave the option out"
        )
    sizes = Sizes.of(kg)
    config = config_for(sizes.train, given)
    _check_memory(config, sizes, place, where)
    if path is None:
        path = runs_dir() / new_id(config, kg.name, as_name(differing(config)))
    trainer = _trainer(kg, config, place, where, path, source, split_seed or 0)
    with RunWriter.create(
        path.parent, path.name, config, kg.name, kg.hash, source, None, split_seed or 0
    ) as writer:
        if not json:
            _tell_costs(config, kg, given, place, where)
        return _train(writer, trainer, json, track, where)


def _settings(preset: str | None, named: dict[str, str], pairs: list[str]) -> dict[str, Any]:
    """The settings that were given, not yet checked."""
    if preset is not None and preset not in EVERY:
        raise InputError(
            f"preset = {preset!r}: must be one of {', '.join(EVERY)}{did_you_mean(preset, EVERY)}"
        )
    given: dict[str, Any] = dict(named)
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip()
        if not (name and equals):
            raise InputError(f"--set {pair!r}: must be NAME=VALUE, such as --set lr=0.01")
        if name in given:
            raise InputError(f"{name} is given twice, as {given[name]!r} and {value.strip()!r}; give it once")
        given[name] = value.strip()
    return EVERY[preset or "default"] | given


def _new_path(out: str | None) -> Path | None:
    """The folder of a new run; None where it is to get a new name."""
    if out is None:
        return None
    named = "/" not in out and "\\" not in out
    if named and (problem := run_id_error(out)):
        raise InputError(problem)
    path = runs_dir() / out if named else Path(out)
    if path.exists():
        raise InputError(f"{path} exists already; choose another name, or go on with it by --resume")
    return path


def _named(run: str | None, out: str | None) -> str:
    """The run to go on with, which may be named in either way."""
    if run and out and run != out:
        raise InputError(f"--resume {run} and --out {out} name two runs; name one")
    if not (named := run or out):
        raise InputError("--resume needs a RUN, the id or folder of the run to go on with")
    return named


def _run_to_resume(
    named: str, dataset: str | None, split_seed: int | None, given: dict[str, Any]
) -> tuple[Run, Config | None]:
    """A run, and its new settings where it is to have more epochs than it was begun with."""
    run = open_run(named, paths=True)
    if dataset is not None and dataset != run.meta.dataset and source_that_lasts(dataset) != run.meta.source:
        raise InputError(
            f"run {run.id} is on data set {run.meta.dataset}, not {dataset}; leave --dataset out"
        )
    if split_seed is not None and split_seed != run.meta.split_seed:
        raise InputError(f"run {run.id} has split seed {run.meta.split_seed}, not {split_seed}; leave it out")
    wanted = {name: getattr(parse({name: value}), name) for name, value in given.items()}
    more = None
    if wanted.get("epochs", run.config.epochs) != run.config.epochs or "patience" in wanted:
        more = config_of(run, wanted.pop("epochs", run.config.epochs), wanted.pop("patience", None))
    elif run.stored_status.state == "finished":
        raise InputError(
            f"run {run.id} is finished; there is nothing to resume. To train on, say how many epochs it is to have in "
            f"all, such as --epochs {run.config.epochs + 100}"
        )
    for name, new in wanted.items():
        if new != (old := getattr(run.config, name)):
            raise InputError(
                f"run {run.id} has {name} = {old}, not {new}; a run goes on with its own settings, so leave it out"
            )
    return run, more


def _go_on(run: Run, more: Config | None, where: _Where, json: bool, track: list[str]) -> int:
    if run.in_shards != where.shards and (run.path / "last.pt").exists():
        has = "in shards; go on by torchrun with" if run.in_shards else "whole in last.pt; go on without"
        raise InputError(f"run {run.id} has its entity table {has} --shard-entities")
    place = _place(where)
    bring(run.meta.source, quiet=json)
    kg = run.load_kg()
    config = more or run.config
    _check_memory(config, Sizes.of(kg), place, where)
    trainer = _trainer(kg, config, place, where, run.path, run.meta.source, run.meta.split_seed)
    if more is not None:
        if not json:
            print(in_words(more, differences(run, more, len(kg.train))))
        RunWriter.train_on(run.path, more).close()
    with RunWriter.reopen(run.path) as writer:
        return _train(writer, trainer, json, track, where)


def _check_memory(config: Config, sizes: Sizes, place: torch.device, where: _Where) -> None:
    """Refuse a run that needs more memory than is free, and warn of one that nearly does; a GPU has its own."""
    processes = where.others.here if where.others else 1
    # Of shards no costs were measured.
    if (
        place.type == "cpu"
        and not where.shards
        and (warning := budget.check(config, sizes, processes=processes))
    ):
        print(f"warning: {warning}", file=sys.stderr)


def _tell_costs(
    config: Config, kg: KnowledgeGraph, given: dict[str, Any], place: torch.device, where: _Where
) -> None:
    """The settings that the graph's size decided, and what the run will take.

    Of a GPU, and of several processes together, no times were measured.
    """
    sizes = Sizes.of(kg)
    if chosen := chosen_for_size(sizes.train, given, config):
        settings = " ".join(f"{name}={value}" for name, value in chosen.items())
        print(f"chosen for a graph of {sizes.train:,} training triplets: {settings} (--set changes them)")
    if place.type == "cpu" and where.processes == "1":
        told = _expected(config, kg)
        alone = (
            f"; with no other work here {seconds_in_words(told.free_seconds)}" if told.basis == "busy" else ""
        )
        print(f"needs {told.need}{alone}")


def _expected(config: Config, kg: KnowledgeGraph) -> Expected:
    """What a run takes on the CPU of this machine, which is timed first where the run is long enough to be worth it."""
    import torch

    from dans_lab.budget import practice
    from dans_lab.budget.experience import expect

    sizes = Sizes.of(kg)
    if budget.predict(config, sizes).run_seconds > _WORTH_TIMING:
        practice.renew(device="cpu")
    return expect(config, sizes, kg.hash, list_runs(), torch.get_num_threads(), "cpu")


def _place(where: _Where) -> torch.device:
    """The device to train on, for which this process is prepared."""
    from dans_core.device import choose
    from dans_lab.runs import process

    process.prepare(where.threads, where.precision)
    place = where.others.place(where.device) if where.others else choose(where.device)
    if where.precision == "tf32" and place.type != "cuda":
        raise InputError("precision = 'tf32' is for GPUs; this run would train on the CPU, so leave it out")
    return place


def _trainer(
    kg: KnowledgeGraph,
    config: Config,
    place: torch.device,
    where: _Where,
    run: Path,
    source: str,
    split_seed: int,
) -> Trainer:
    if where.others:
        from dans_lab.ranks.follow import lead

        return lead(where.others, run, kg, config, place, source, split_seed, where.shards)
    from dans_core.training import Trainer

    return Trainer(kg, config, place)


def _train(writer: RunWriter, trainer: Trainer, json: bool, track: list[str], where: _Where) -> int:
    """Train the run of `writer`, telling of it as it goes; the exit code."""
    from dans_core.ranking import popularity_floor
    from dans_lab.cli.progress import reporter
    from dans_lab.runs.drive import drive
    from dans_lab.runs.process import StopFlag

    stop = where.others.stop if where.others else StopFlag()
    stop.install()
    if where.others and not json:
        each = ", each with a shard of the entity table" if where.shards else ""
        print(f"{where.others.count} processes train together{each}; this one writes the run")
    with _mirror(writer, track) as told, reporter(writer, trainer, stop, json) as report:

        def stage(done: Stage) -> None:
            report.stage(done)
            for event in done.events:
                told.tell(event)

        rank_test = None
        if where.shards:
            from dans_lab.ranks.shards import ShardTrainer

            assert isinstance(trainer, ShardTrainer), "made so"
            rank_test = trainer.test_mrr
        state = drive(writer, trainer, lambda: stop.asked, stage, report.state, where.processes, rank_test)
        told.ends(state, {"best_mrr": writer.status.best_mrr, "test_mrr": writer.status.test_mrr})
    status = writer.status
    # Seconds on a large graph, so not where someone waits for a run to stop.
    ranked = state == "finished" and len(trainer.kg.valid) > 0
    floor = popularity_floor(trainer.kg, "valid").mrr if ranked else None
    if json:
        report.summary(floor)
    if state == "failed" or status.reason:
        print(f"error: {status.reason}", file=sys.stderr)
        return 1
    if not json:
        _print_summary(writer, floor)
    return 130 if state == "stopped" and stop.asked else 0


def _mirror(writer: RunWriter, track: list[str]) -> Mirror:
    def failed(sentence: str, trace: str) -> None:
        print(f"warning: {sentence}", file=sys.stderr)
        writer.log(trace)

    meta = writer.run.meta
    facts = {"dataset": meta.dataset, "created": meta.created, "hash": meta.hash}
    return mirror(track, writer.run.id, writer.config, writer.path, facts, failed)


def _print_summary(writer: RunWriter, floor: float | None) -> None:
    status = writer.status
    run = shlex.quote(_short(writer.path))
    print(
        f"{status.state} at epoch {status.epoch} of {status.epochs} after {duration(status.seconds)} of training"
    )
    if ended_early(status):
        print(f"it ended early: for {writer.config.patience} epochs the valid ranking got no better")
    if status.state == "finished" and status.best_mrr is None:
        print("there is no valid split, so no epoch is the best: the weights that are kept are the last ones")
    if status.best_mrr is not None:
        beside = f"; popularity floor {number(floor)}" if floor is not None else ""
        print(f"best valid MRR {number(status.best_mrr)} at epoch {status.best_epoch}{beside}")
        if floor is not None and status.best_mrr < floor:
            print("warning: below the popularity floor; a ranking without any model is better")
    if status.test_mrr is not None:
        print(f"test MRR {number(status.test_mrr)}")
    if early := warm_up.told(writer.config, status.best_epoch):
        print(early)
    print(f"run: {writer.path}")
    if status.state == "finished":
        print(f"next: {COMMAND} evaluate {run} --split test")
        print(f"      {COMMAND} inspect {run} --triplet HEAD RELATION TAIL")
    else:
        print(f"go on: {COMMAND} train --resume {run}")


def _short(path: Path) -> str:
    """How to name a run in a command: its id where that is enough."""
    return path.name if path.parent.resolve() == runs_dir().resolve() else str(path)
