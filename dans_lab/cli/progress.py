"""How `train` tells of itself: a bar in a terminal, a line now and then in a file, JSON for a machine."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dans_core.config import Config
from dans_core.events import Event, Losses, Ranking, to_dict
from dans_core.training import Stage, Trainer
from dans_data.words import count, duration, listed, number
from dans_lab import warm_up
from dans_lab.cli.output import noted, print_json
from dans_lab.health import HealthWarning
from dans_lab.health_words import in_words, worded
from dans_lab.runs import process
from dans_lab.runs.process import StopFlag
from dans_lab.runs.records import State
from dans_lab.runs.writer import RunWriter


class Reporter(Protocol):
    """One way of telling; used as a context for as long as the run trains."""

    def stage(self, stage: Stage) -> None:
        """A stage is done."""

    def state(self, state: State) -> None:
        """The run was paused by a viewer, or goes on."""

    def summary(self, floor: float | None) -> None:
        """The last word; `floor` is the valid MRR of ranking by popularity."""

    def __enter__(self) -> Reporter: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def reporter(writer: RunWriter, trainer: Trainer, stop: StopFlag, json: bool) -> Reporter:
    """The reporter that suits where the output goes."""
    if json:
        return _Json(writer, trainer, stop)
    return (_Bar if sys.stdout.isatty() else _Lines)(writer, trainer, stop)


class _Words:
    """The latest numbers of a run, in words."""

    def __init__(self, writer: RunWriter, trainer: Trainer, stop: StopFlag) -> None:
        self.writer, self.trainer, self.stop = writer, trainer, stop
        self.losses: Losses | None = None
        self.played: Losses | None = None
        self.ranking: Ranking | None = None
        self.paused = False

    def learn(self, event: Event) -> None:
        if isinstance(event, Losses):
            self.losses = event
            self.played = event if event.played else self.played
        elif isinstance(event, Ranking):
            self.ranking = event

    def title(self) -> list[str]:
        kg, config = self.trainer.kg, self.writer.config
        sizes = " / ".join(f"{len(kg.array(split)):,}" for split in ("train", "valid", "test"))
        entities, relations = (
            count(kg.num_entities, "entity", "entities"),
            count(kg.num_relations, "relation"),
        )
        lines = [f"{kg.name}: {entities}, {relations}, {sizes} triplets"]
        lines += [f"note: {noted(note)}" for note in kg.notes]
        where = f"on {self.trainer.device_name}, {process.precision()}"
        how = f"{config.decoder}, {config.sampler}, {count(config.epochs, 'epoch')}, seed {config.seed}, {where}"
        if config.patience:
            how += f", patience {config.patience}"
        if before := self.writer.meta.trained_on:
            how += f", trained on from epoch {listed([str(epoch) for epoch in before])}"
        return [*lines, f"run {self.writer.path.name}: {how}"]

    def numbers(self) -> str:
        losses, parts = self.losses, []
        if losses is not None:
            parts.append(f"base {number(losses.base)}")
            if losses.warm_up:
                parts.append("warm-up")
            elif played := self.played:
                # Those of parts that the settings leave out are missing.
                parts += _together("L_G", E=played.g_e, R=played.g_r)
                parts += _together("L_D", adv=played.d_adv, aux=played.d_aux)
                if played.epoch < losses.epoch:
                    parts[-1] += f" (epoch {played.epoch})"
        if self.ranking is not None:
            parts.append(f"valid MRR {number(self.ranking.mrr)} (best {number(self.trainer.best_mrr)})")
        return "  ".join(parts)

    def place(self) -> str:
        return f"epoch {self.trainer.epoch}/{self.writer.config.epochs}"

    def time_left(self) -> str:
        if self.paused:
            return "paused by a viewer"
        if self.stop.asked:
            return "stopping"
        left = self.writer.status.eta_seconds
        return "" if left is None or left < 1 or self.trainer.finished else f"about {duration(left)} left"


def _together(title: str, **losses: float | None) -> list[str]:
    """ "L_G E 0.693 R 0.693" of the losses that there are, as a list of one; empty for none."""
    found = [f"{name} {number(loss)}" for name, loss in losses.items() if loss is not None]
    return [" ".join([title, *found])] if found else []


def _warning(told: HealthWarning, config: Config) -> str:
    event = worded(told, config)
    where = f" ({event.pathway})" if event.pathway else ""
    if not event.active:
        return f"over at epoch {event.epoch}: {event.code}{where}"
    return f"warning at epoch {event.epoch}{where}: {event.message} {event.advice}"


class _Lines(_Words):
    """Plain lines: about every tenth of the epochs, and warnings as they come."""

    def stage(self, stage: Stage) -> None:
        for event in stage.events:
            self.learn(event)
            if isinstance(event, HealthWarning):
                self.say(_warning(event, self.writer.config))
        if any(isinstance(event, Losses) for event in stage.events):
            epochs = self.writer.config.epochs
            if self.trainer.finished or stage.epoch * 10 // epochs > (stage.epoch - 1) * 10 // epochs:
                words = (self.place(), self.numbers(), self.time_left())
                self.say("  ".join(word for word in words if word))

    def state(self, state: State) -> None:
        self.paused = state == "paused"
        self.say(f"{'paused by a viewer' if self.paused else 'going on'} at {self.place()}")

    def summary(self, floor: float | None) -> None:
        pass

    def say(self, line: str) -> None:
        try:
            print(line, flush=True)
        except BrokenPipeError:
            # Nobody listens: end in order, to be resumed.
            self.stop.asked = True

    def __enter__(self) -> _Lines:
        for line in self.title():
            self.say(line)
        self.stop.told = lambda: self.say("stopping after this stage; again to quit at once")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop.told = None


class _Bar(_Words):
    """A bar with the latest numbers under it; warnings go above."""

    def __init__(self, writer: RunWriter, trainer: Trainer, stop: StopFlag) -> None:
        super().__init__(writer, trainer, stop)
        self.live = Live(console=Console(), get_renderable=self.draw, refresh_per_second=8)

    def draw(self) -> Group:
        bar = ProgressBar(total=self.writer.config.epochs, completed=self.trainer.epoch)
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(no_wrap=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True)
        line.add_row(Text(self.place()), bar, Text(self.time_left()))
        return Group(line, Text(self.numbers()))

    def stage(self, stage: Stage) -> None:
        for event in stage.events:
            self.learn(event)
            if isinstance(event, HealthWarning):
                self.live.console.print(
                    Text(_warning(event, self.writer.config), style="yellow" if event.active else "green")
                )

    def state(self, state: State) -> None:
        self.paused = state == "paused"

    def summary(self, floor: float | None) -> None:
        pass

    def __enter__(self) -> _Bar:
        for line in self.title():
            self.live.console.print(Text(line))
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()


class _Json:
    """One JSON object a line for each event, and one last `summary`."""

    def __init__(self, writer: RunWriter, trainer: Trainer, stop: StopFlag) -> None:
        self.writer, self.trainer, self.stop = writer, trainer, stop

    def stage(self, stage: Stage) -> None:
        for event in stage.events:
            self.say(to_dict(in_words(event, self.writer.config)))

    def state(self, state: State) -> None:
        pass

    def summary(self, floor: float | None) -> None:
        status = self.writer.status.model_dump(
            include={"state", "reason", "epoch", "epochs", "seconds", "best_epoch", "best_mrr", "test_mrr"}
        )
        status["best_in_warm_up"] = warm_up.unmet(self.writer.config, status["best_epoch"])
        run = {"event": "summary", "run": self.writer.path.name, "path": str(self.writer.path)}
        where = {"device": self.trainer.device_name, "precision": process.precision()}
        where["processes"] = self.writer.meta.processes
        self.say(run | status | {"floor_mrr": floor} | where)

    def say(self, record: dict[str, object]) -> None:
        try:
            print_json(record)
        except BrokenPipeError:
            # Nobody listens: end in order, to be resumed.
            self.stop.asked = True

    def __enter__(self) -> _Json:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass
