"""Running a study: what is left to do, what it will cost, and a record for every run that ends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS
from dans_data.errors import InputError
from dans_data.metrics import TERMS
from dans_lab import log
from dans_lab.budget.estimates import predict
from dans_lab.budget.sizes import Sizes
from dans_lab.halves import HALVES, halves, strata
from dans_lab.runs import machine
from dans_lab.runs.records import replace, to_json
from dans_lab.runs.run import runs_dir, source_that_lasts
from dans_lab.runs.writer import versions
from dans_lab.study import pace
from dans_lab.study.crew import Crew
from dans_lab.study.folder import RunRecord, Study, StudyRecord, studies_dir
from dans_lab.study.orders import Order
from dans_lab.study.plan import Plan, PlannedRun
from dans_lab.study.session import LOCK, By, Session, ask, is_to_pause, last_session, tell


@dataclass
class Conduct:
    """A study that is being run; made by `conducting`.

    Attributes:
        todo: jobs without a record, in their order.
        records: those that were there, and those that came since.
        expected: seconds of a run of each kind, as timed before. took: those of each run since, all work included.
        errors: why runs have no record, in words. stopped: the ids of those that were stopped, by whomever.
        by: who started it. paused: whether a viewer asked it to pause.
    """

    study: Study
    plan: Plan
    kg: KnowledgeGraph
    todo: list[PlannedRun]
    records: dict[str, RunRecord]
    expected: dict[str, float] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    by: By = "terminal"
    paused: bool = False

    def estimate(self, crew: Crew, heard: Callable[[int, int], None] = lambda done, of: None) -> float:
        """Seconds that what is left will take this crew; each kind of run is timed, for a second or so.

        Kinds with a record here are not timed, since their runs were, nor those that were timed before.
        `heard(done, of)` is called after each kind.

        Raises InputError where a kind cannot be trained at all.
        """
        kinds = {self.plan.kind_of[planned.run]: planned for planned in self.todo}
        known = self.study.meta.expected | pace.measured(self.plan, self.records, self.took)
        orders = [
            self._order("time", PlannedRun(kind, planned.config))
            for kind, planned in kinds.items()
            if kind not in known
        ]
        self.expected = {kind: seconds for kind, seconds in known.items() if kind in kinds}
        done = 0
        heard(done, len(orders))
        for reply in crew.carry_out(orders):
            self._heed(crew)
            if reply is None:
                continue
            if reply.seconds is None:
                raise InputError(reply.error or "stopped before the study began")
            done += 1
            self.expected[reply.run] = reply.seconds
            heard(done, len(orders))
        if orders:
            self.note(expected=self.study.meta.expected | self.expected)
        return self.left(crew.size)

    def left(self, size: int) -> float:
        """Seconds that the runs without a record take `size` at a time, as far as one can tell now (`pace.left`)."""
        left = pace.left(self.plan, self.records, self.expected, size, self.took, self.errors)
        return left or 0.0

    def memory(self) -> int:
        """Bytes that the largest of its runs needs at its peak, as predicted."""
        sizes = Sizes.of(self.kg)
        seed = self.plan.seeds[0]
        return max(
            predict(planned.config, sizes).memory_bytes
            for planned in self.plan.jobs
            if planned.config.seed == seed
        )

    def run(self, crew: Crew) -> Iterator[RunRecord | str | None]:
        """Train what is left: each record as it is kept, a sentence for each run that failed otherwise, None between.

        Runs that diverged are records. Ends early, without a word, when the crew is stopped.
        """
        begun, before = time.monotonic(), self.study.meta.took or 0.0
        tell(self.study, Session(by=self.by, size=crew.size, stage="training"))
        for reply in crew.carry_out([self._order("train", planned) for planned in self.todo]):
            self._heed(crew)
            if reply is None:
                yield None
            elif reply.record is not None:
                _write(self.study.path / "records" / f"{reply.run}.json", to_json(reply.record))
                self.note(took=round(before + time.monotonic() - begun, 1))
                self.records[reply.run] = reply.record
                self.took[reply.run] = reply.seconds or reply.record.seconds
                yield reply.record
            elif reply.error:
                self.errors[reply.run] = reply.error
                yield reply.error
            else:
                self.stopped.append(reply.run)

    def note(self, **values: object) -> None:
        """Change fields of study.json."""
        meta = self.study.meta.model_copy(update=values)
        _write(self.study.path / "study.json", to_json(meta))
        self.study = Study(self.study.path)

    def _heed(self, crew: Crew) -> None:
        """Stop the crew, once, where a viewer asks the study to pause."""
        if not self.paused and is_to_pause(self.study):
            self.paused = True
            crew.stop()

    def _order(self, kind: str, planned: PlannedRun) -> Order:
        return Order.model_validate(
            {
                "kind": kind,
                "run": planned.run,
                "config": planned.config.model_dump(),
                "study": self.plan.name,
                "source": self.study.meta.source,
                "root": str(runs_dir().absolute()),
            }
        )


@contextmanager
def conducting(plan: Plan, by: By = "terminal") -> Iterator[Conduct]:
    """Take a study in hand: its folder is made, or taken up again where it was left; nobody else may run it meanwhile.

    Who looks at the study is told `by` whom it was started, and why it ended.

    Records whose runs the plan no longer asks for stay, and are passed over.

    Raises:
        InputError: for a data set that cannot be read or is another than before, and while another process runs the
            study.
    """
    path = studies_dir() / plan.name
    kg = KnowledgeGraph.load(plan.dataset)
    file = path / "study.json"
    # A study that was begun goes on with the settings it was begun with.
    plan = plan.made_for(Study(path).meta.made_for if file.exists() else len(kg.array("train")))
    try:
        (path / "records").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be made ({error.strerror})") from None
    lock = filelock.FileLock(path / LOCK)
    try:
        # Who looks whether it is running holds the lock for a moment.
        lock.acquire(timeout=0.3, poll_interval=0.02)
    except filelock.Timeout:
        raise InputError(f"study {plan.name} is being run by another process") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror})") from None
    with lock:
        study = Study(path)
        if file.exists():
            if study.meta.hash != kg.hash:
                raise InputError(
                    f"study {plan.name} in {path} was begun on other triplets than data set {kg.name} now has; "
                    "move the folder away, or give the study file another name"
                )
        else:
            _write(file, to_json(_about(plan, kg)))
        _write(path / "study.toml", plan.text.encode())
        for leftover in (path / "records").glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        study = Study(path)
        records = study.records()
        todo = [planned for planned in plan.jobs if planned.run not in records]
        done = {planned.run: records[planned.run] for planned in plan.jobs if planned.run in records}
        conduct = Conduct(study, plan, kg, todo, done, by=by)
        ask(study, pause=False)
        if study.meta.source != (source := source_that_lasts(plan.dataset)):
            # The same triplets, in another place now.
            conduct.note(source=source)
        if not study.meta.counts or not study.meta.halves:
            # Begun with a version that did not tell as much of them.
            conduct.note(**_facts(kg))
        tell(study, Session(by=by))
        log.tell("study began", study=study.name, by=by, runs=len(todo), done=len(done))
        reason = "it was ended from outside"
        try:
            yield conduct
            reason = next(iter(conduct.errors.values()), "")
        except InputError as error:
            reason = "" if conduct.paused else str(error)
            raise
        finally:
            last = last_session(study) or Session(by=by)
            tell(study, last.model_copy(update={"stage": "over", "reason": reason}))
            log.tell("study ended", study=study.name, done=len(conduct.records), reason=reason)


def _write(path: Path, data: bytes) -> None:
    """Replace a file. Raises InputError where it cannot be written, as on a full disk."""
    try:
        replace(path, data)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror})") from None


def _about(plan: Plan, kg: KnowledgeGraph) -> StudyRecord:
    return StudyRecord(
        dataset=kg.name,
        source=source_that_lasts(plan.dataset),
        made_for=plan.train,
        hash=kg.hash,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        machine=f"{machine.processor()}, {os.cpu_count()} cores",
        **_facts(kg),
    )


def _facts(kg: KnowledgeGraph) -> dict[str, Any]:
    """What study.json tells of the data set, for those who do not have it."""
    from dans_core.ranking import popularity_floor

    floor, seen = popularity_floor(kg, "test"), kg.seen_in_train("test")
    apart = strata(kg, "test", floor.ranks.numpy(), floor.ranks.numpy())
    return {
        "halves": "".join(map(str, halves(kg, "test").tolist())),
        "floor_halves": {str(HALVES.index(each.halves)): each.floor for each in apart},
        "floor": {name: getattr(floor, name) for name in TERMS} if floor.count else {},
        "floor_seen": {name: getattr(floor.seen, name) for name in TERMS} if floor.seen else {},
        "seen": "" if seen.all() else "".join("01"[int(each)] for each in seen),
        "counts": {"entities": kg.num_entities, "relations": kg.num_relations}
        | {split: len(kg.array(split)) for split in SPLITS},
    }
