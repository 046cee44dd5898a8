"""Local processes that train the runs of a study, one thread each."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Protocol

from pydantic import ValidationError

from dans_lab.study.orders import Order, Reply

ATTEMPTS = 3
"""How often a run is tried whose process was killed, each time from its last checkpoint."""

PATIENCE = 30.0
"""Seconds that a process has to end by itself once there is nothing more to do."""


class Crew(Protocol):
    """Those who carry out orders, wherever they are; used as a context, at whose end they go."""

    words: str
    """Who they are, such as "2 processes"."""

    size: int
    """How many runs are trained at the same time."""

    def carry_out(self, orders: Sequence[Order]) -> Iterator[Reply | None]:
        """The replies as they come, one for each order; None twice a second while there is none."""
        ...

    def stop(self) -> None:
        """Let runs leave a checkpoint; their replies still come. Called again: end at once."""
        ...

    def __enter__(self) -> Crew: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Processes:
    """A crew of processes of this machine, in sessions of their own, so that Ctrl-C reaches the study alone."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.words = f"{size} process" + ("es" if size > 1 else "")
        self._workers: set[subprocess.Popen[str]] = set()
        self._idle: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        # A signal may come while the same thread holds it.
        self._lock = threading.RLock()
        self._stopping = False

    def carry_out(self, orders: Sequence[Order]) -> Iterator[Reply | None]:
        """As in `Crew`."""
        waiting: queue.SimpleQueue[Order] = queue.SimpleQueue()
        for order in orders:
            waiting.put(order)
        replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        for _ in range(min(self.size, len(orders))):
            threading.Thread(target=self._serve, args=(waiting, replies), daemon=True).start()
        due = len(orders)
        while due:
            try:
                yield replies.get(timeout=0.5)
                due -= 1
            except queue.Empty:
                yield None

    def stop(self) -> None:
        """As in `Crew`."""
        again, self._stopping = self._stopping, True
        with self._lock:
            for worker in self._workers:
                if again:
                    worker.kill()
                elif worker.stdin is not None:
                    # The end of its input is what a worker stops for.
                    with contextlib.suppress(OSError):
                        worker.stdin.close()

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        with self._lock:
            left = list(self._workers)
        for worker in left:
            try:
                worker.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def _serve(self, waiting: queue.SimpleQueue[Order], replies: queue.SimpleQueue[Reply]) -> None:
        """Pass orders to one process, and to another in its place where it is killed, until there are none left."""
        worker: subprocess.Popen[str] | None = None
        while True:
            try:
                order = waiting.get_nowait()
            except queue.Empty:
                break
            reply, attempt = None, 0
            while reply is None and attempt < ATTEMPTS and not self._stopping:
                attempt += 1
                try:
                    worker = worker or self._hire()
                except OSError as error:
                    reply = Reply(run=order.run, error=f"no process could be started ({error.strerror})")
                    break
                reply = _ask(worker, order)
                if reply is None:
                    # It may be alive still, if what it answered could not be read.
                    worker.kill()
                    worker.wait()
                    self._forget(worker)
                    worker = None
            if reply is None:
                ended = Reply(
                    run=order.run, error=f"the process of run {order.run} was ended {ATTEMPTS} times"
                )
                reply = Reply(run=order.run, stopped=True) if self._stopping else ended
            replies.put(reply)
        if worker is not None:
            self._idle.put(worker)

    def _hire(self) -> subprocess.Popen[str]:
        """A process that has nothing to do, or a new one."""
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        worker = subprocess.Popen(
            [sys.executable, "-m", "dans_lab.study.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        with self._lock:
            self._workers.add(worker)
            if self._stopping and worker.stdin is not None:
                worker.stdin.close()
        return worker

    def _forget(self, worker: subprocess.Popen[str]) -> None:
        with self._lock:
            self._workers.discard(worker)


def _ask(worker: subprocess.Popen[str], order: Order) -> Reply | None:
    """The reply of a worker to an order; None where it was killed before it answered."""
    assert worker.stdin is not None and worker.stdout is not None
    try:
        worker.stdin.write(order.model_dump_json() + "\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
        return Reply.model_validate_json(line) if line.endswith("\n") else None
    except (OSError, ValueError, ValidationError):
        return None
