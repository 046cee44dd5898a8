"""The command `study`: train every run of a study file that is not there yet, and tell how far it is."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from dans_data.errors import InputError
from dans_data.words import bytes_in_words, count, duration, number
from dans_lab.cli.output import print_json
from dans_lab.study.facts import by_size
from dans_lab.study.folder import Study, studies_dir
from dans_lab.study.plan import read_plan

if TYPE_CHECKING:
    from dans_lab.study.conduct import Conduct
    from dans_lab.study.crew import Crew
    from dans_lab.study.folder import RunRecord
    from dans_lab.study.plan import Plan

_COMMAND = "python -m dans_core"


def study(
    file: Annotated[
        str, typer.Argument(metavar="FILE.toml", help="A study file, or the name of a shipped one.")
    ],
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="INTEGER",
            help="Runs at a time, each a process of one thread.",
            show_default="one a core, as far as the memory goes",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help='Run on this Ray cluster instead, such as "auto" or HOST:6379.'),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Train on this: auto, cpu, cuda or cuda:1.",
            show_default="DANS_DEVICE or auto",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line for each run.")] = False,
    begun: Annotated[bool, typer.Option("--begun", hidden=True)] = False,
) -> int:
    """Train all runs of a study. Ctrl-C stops it, and the same command goes on with it; pressed twice, at once."""
    if workers is not None and not 1 <= workers <= 1024:
        raise InputError(f"--workers {workers}: must be a whole number, at least 1 and at most 1024")
    if workers is not None and ray is not None:
        raise InputError(
            "--workers is for processes of this machine; a Ray cluster knows its own, so leave it out"
        )
    if device is not None:
        _use(device, ray)
    # The app has made the folder of the study it starts, whatever else has its name.
    plan = Study(studies_dir() / file).plan if begun else read_plan(file)
    _tell_of_download(plan)
    from dans_lab.runs.process import StopFlag
    from dans_lab.study.conduct import conducting

    stop = StopFlag()
    with conducting(plan, "app" if begun else "terminal") as conduct, _crew(conduct, workers, ray) as crew:
        stop.install()
        stop.told = crew.stop
        teller = _Json(conduct) if json else _Words(conduct, crew)
        try:
            return _conduct(conduct, crew, stop, teller)
        except KeyboardInterrupt:
            crew.stop()
            return 130
        finally:
            teller.close()


def _use(device: str, ray: str | None) -> None:
    """Have the processes train on this device: they inherit the environment."""
    if ray is not None:
        raise InputError(
            "--device is for processes of this machine; runs on Ray train on CPUs, so leave it out"
        )
    from dans_core.device import DEVICE_VARIABLE, choose

    choose(device)
    if device != "auto":
        os.environ[DEVICE_VARIABLE] = device
    else:
        os.environ.pop(DEVICE_VARIABLE, None)


def _tell_of_download(plan: Plan) -> None:
    from dans_data import available

    for info in available():
        if info.name == plan.dataset and not info.here:
            told = f"{info.title or info.name} is not on this machine and is downloaded first"
            print(f"{told} ({bytes_in_words(info.bytes)})", file=sys.stderr)


def _crew(conduct: Conduct, workers: int | None, ray: str | None) -> Crew:
    if ray is not None:
        from dans_lab.study.on_ray import RayCluster

        return RayCluster(ray)
    from dans_lab.study.crew import Processes

    return Processes(workers or _that_fit(conduct))


def _that_fit(conduct: Conduct) -> int:
    """One process a core, or fewer where the memory that is free holds fewer; at least one."""
    from dans_lab.budget.estimates import free_memory
    from dans_lab.budget.several import at_a_time
    from dans_lab.runs.machine import cores

    each, free = cores(), free_memory()
    if not conduct.todo or free is None:
        return each
    need = conduct.memory()
    size = at_a_time(need, each, free)
    if size < each:
        print(
            f"{count(size, 'run')} at a time: one needs up to {bytes_in_words(need)} of the {bytes_in_words(free)} "
            "of memory that are free; --workers changes that",
            file=sys.stderr,
        )
    return size


def _conduct(conduct: Conduct, crew: Crew, stop: Any, teller: _Words | _Json) -> int:
    teller.begin()
    if conduct.todo:
        try:
            estimate = conduct.estimate(crew, teller.timed)
        except InputError:
            if stop.asked or conduct.paused:
                print("stopped; the same command begins where it was left", file=sys.stderr)
                return 130
            raise
        teller.estimated(estimate, crew)
        if conduct.study.meta.estimate is None:
            conduct.note(estimate=round(estimate, 1), workers=crew.words)
        begun = time.monotonic()
        for news in conduct.run(crew):
            teller.news(news, crew)
        took = time.monotonic() - begun
        teller.end(estimate, took)
    else:
        teller.end(None, None)
    for error in conduct.errors.values():
        print(f"error: {error}", file=sys.stderr)
    ended = stop.asked or conduct.paused
    if conduct.stopped and not ended:
        listed = ", ".join(conduct.stopped[:3]) + (" and others" if len(conduct.stopped) > 3 else "")
        print(f"error: stopped by someone else: {listed}; the same command goes on with it", file=sys.stderr)
    if ended and len(conduct.records) < len(conduct.plan.jobs):
        return 130
    return 1 if conduct.errors or conduct.stopped else 0


class _Words:
    """Tells a person: what is asked, the estimate, then a bar in a terminal or a line a run elsewhere."""

    def __init__(self, conduct: Conduct, crew: Crew) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self.conduct = conduct
        self.console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)
        self.bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[left]}", markup=False), console=self.console,
            disable=not self.console.is_terminal, transient=True,
        )  # fmt: skip
        self.task = self.bar.add_task("", left="", visible=False)
        self.left, self.left_at = 0.0, 0.0

    def begin(self) -> None:
        conduct = self.conduct
        plan, done = conduct.plan, len(conduct.records)
        self.say(f"{plan.title}: {plan.question}" if plan.question else plan.title)
        self.say(
            f"{conduct.kg.name}: {count(len(plan.jobs), 'run')}, {count(len(plan.kinds), 'setting')} × "
            f"{count(len(plan.seeds), 'seed')}" + (f"; {done:,} are done already" if done else "")
        )
        if chosen := by_size(plan):
            self.say(f"{chosen[:-1]} (the study file may set them)")
        elif plan.made_for(len(conduct.kg.array("train"))).by_size:
            self.say(
                "begun with an earlier version: what the study file leaves open has the defaults of small graphs, "
                "not those for a graph of this size"
            )

    def timed(self, done: int, of: int) -> None:
        if of:
            self.bar.start()
            self.bar.update(
                self.task, description="timing each kind of run", completed=done, total=of, visible=True
            )

    def estimated(self, seconds: float, crew: Crew) -> None:
        self.bar.stop()
        self.say(f"this takes about {duration(seconds)} with {crew.words}, if nothing else is busy here")
        self.bar.start()
        self.bar.update(
            self.task, description=self.conduct.plan.name, visible=True, total=len(self.conduct.plan.jobs),
            completed=len(self.conduct.records),
        )  # fmt: skip
        self.left, self.left_at = seconds, time.monotonic()

    def news(self, news: RunRecord | str | None, crew: Crew) -> None:
        now = time.monotonic()
        if news is not None:
            self.left, self.left_at = self.conduct.left(crew.size), now
        left = max(1.0, self.left - (now - self.left_at))
        done, of = len(self.conduct.records), len(self.conduct.plan.jobs)
        self.bar.update(self.task, completed=done, left=f"about {duration(left)} left")
        if isinstance(news, str):
            self.say(f"failed: {news}")
        elif news is not None and (not self.console.is_terminal or news.state == "failed"):
            how = f"test MRR {number(news.test.get('mrr'))}" if news.state == "finished" else news.reason
            self.say(f"{done}/{of}  {news.run}  {how}  {duration(news.seconds)}  about {duration(left)} left")

    def end(self, estimate: float | None, took: float | None) -> None:
        self.bar.stop()
        conduct = self.conduct
        done, of = len(conduct.records), len(conduct.plan.jobs)
        diverged = sum(record.state == "failed" for record in conduct.records.values())
        words = f"{done:,} of {of:,} runs are done" + (f", {diverged:,} of them diverged" if diverged else "")
        if took is not None and estimate is not None:
            words += f"; this took {duration(took)}" + (
                f", estimated {duration(estimate)}" if done == of else ""
            )
        self.say(words)
        name = conduct.plan.name
        if done < of:
            self.say("the same command goes on with it")
        self.say(f"study: {conduct.study.path}")
        self.say(f"next: {_COMMAND} report {name}")

    def close(self) -> None:
        """Give the terminal its cursor back, however it ended."""
        self.bar.stop()

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)


class _Json:
    """Tells a machine: the plan, the estimate, each run, the end, one JSON object a line."""

    def __init__(self, conduct: Conduct) -> None:
        self.conduct = conduct

    def begin(self) -> None:
        plan = self.conduct.plan
        chosen = {name: list(values) for name, values in plan.by_size.items()}
        done = len(self.conduct.records)
        print_json({"study": plan.name, "runs": len(plan.jobs), "done": done, "chosen_for_size": chosen})

    def timed(self, done: int, of: int) -> None:
        pass

    def estimated(self, seconds: float, crew: Crew) -> None:
        print_json({"estimate_seconds": round(seconds, 1), "workers": crew.words})

    def news(self, news: RunRecord | str | None, crew: Crew) -> None:
        if isinstance(news, str):
            print_json({"error": news})
        elif news is not None:
            fields = {"run", "state", "reason", "seconds", "valid", "test", "best_epoch"}
            left = round(self.conduct.left(crew.size), 1)
            print_json(news.model_dump(include=fields) | {"seconds_left": left})

    def end(self, estimate: float | None, took: float | None) -> None:
        done = len(self.conduct.records)
        print_json(
            {"done": done, "took_seconds": took and round(took, 1), "folder": str(self.conduct.study.path)}
        )

    def close(self) -> None:
        pass
