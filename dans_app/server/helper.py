"""A process beside the server for work that would hold up its every click, such as UMAP and torch.

A request and its answer are npz archives, each behind its length in 8 bytes, over the process's standard input and
output. The end of its input is the end of the process, so it never outlives the server. No Streamlit here.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from weakref import WeakSet

import numpy as np
import numpy.typing as npt

from dans_data.errors import InputError
from dans_lab import log

Arrays = dict[str, npt.NDArray[Any]]

_ROOT = Path(__file__).resolve().parents[2]
_MISTAKE, _ERROR = "mistake", "error"


_all: WeakSet[HelperProcess] = WeakSet()


def rest() -> None:
    """End all processes that were idle for long."""
    for process in list(_all):
        process.rest()


class Busy(InputError):
    """So many wait for the process that one more would wait too long; later it may be otherwise."""


class Turn:
    """A lock that is given to those who wait in the order in which they came, and for which no one waits for ever."""

    def __init__(self, waiting: int, patience: float) -> None:
        """At most so many wait, and none longer than `patience` seconds."""
        self._most = waiting
        self._patience = patience
        self._changed = threading.Condition()
        self._line: deque[object] = deque()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Held within; raises Busy where too many wait already, or where it does not come in time."""
        me = object()
        with self._changed:
            # The first in the line has it.
            if len(self._line) > self._most:
                raise Busy(f"{self._most} others are waiting for an answer here; try again in a moment")
            self._line.append(me)
            if not self._changed.wait_for(lambda: self._line[0] is me, self._patience):
                self._leave(me)
                raise Busy(
                    f"no answer came within {self._patience:.0f} s, as others asked first; try again in a moment"
                )
        try:
            yield
        finally:
            with self._changed:
                self._leave(me)

    @contextmanager
    def at_once(self) -> Iterator[bool]:
        """Held within where no one has it or waits for it; whether that is so."""
        me = object()
        with self._changed:
            if free := not self._line:
                self._line.append(me)
        try:
            yield free
        finally:
            with self._changed:
                if free:
                    self._leave(me)

    def _leave(self, who: object) -> None:
        self._line.remove(who)
        self._changed.notify_all()


class HelperProcess:
    """One process that runs a module, started when first asked, and again if it has died. Several threads may ask."""

    def __init__(
        self,
        module: str,
        seconds: float | None = None,
        idle: float | None = None,
        waiting: int = 60,
        patience: float = 120.0,
    ) -> None:
        """`waiting` and `patience` are those of its `Turn`.

        An answer may take `seconds`, and after `idle` seconds without a question the process may `rest`; both for ever
        where nothing is said.
        """
        self._module = module
        self._seconds = seconds
        self._idle = idle
        self._turn = Turn(waiting, patience)
        self._process: subprocess.Popen[bytes] | None = None
        self._used = time.monotonic()
        _all.add(self)

    @property
    def seconds(self) -> float | None:
        """How long an answer may take."""
        return self._seconds

    def warm_up(self) -> None:
        """Have it started, and its imports made, unless it is. Returns at once."""

        def start() -> None:
            # Who asks it next is told what is wrong with it.
            with contextlib.suppress(RuntimeError, InputError, OSError):
                self.ask()

        if self._process is None or self._process.poll() is not None:
            threading.Thread(target=start, name="warm-up", daemon=True).start()

    def rest(self) -> bool:
        """End the process where it was idle for long; whether it was ended. The next question starts it again."""
        with self._turn.at_once() as free:
            long = self._idle is not None and time.monotonic() - self._used >= self._idle
            if not free or self._process is None or not long:
                return False
            self._end()
            return True

    def ask(self, **request: npt.ArrayLike) -> Arrays:
        """The answer of the process. Its InputError is raised here, too, and any other failure as RuntimeError.

        Raises Busy, an InputError, where it is not its turn in time, and TimeoutError where the answer takes too long.
        """
        with self._turn.taken():
            process = self._running()
            assert process.stdin is not None and process.stdout is not None
            late = threading.Event()
            try:
                with self._at_most(process, late):
                    _write(process.stdin, {name: np.asarray(value) for name, value in request.items()})
                    answer = _read(process.stdout)
            except OSError:
                answer = None
            except BaseException:
                # Its answer may still be under way, and would be taken for that to the next request.
                self._end()
                raise
            if answer is None:
                code = self._end()
                log.tell("helper died", module=self._module, exit_code=code, late=late.is_set())
                if late.is_set():
                    raise TimeoutError(f"no answer came within {self._seconds:.0f} s")
                raise RuntimeError(f"the process for it ended with exit code {code}")
            self._used = time.monotonic()
        if _MISTAKE in answer:
            raise InputError(str(answer[_MISTAKE]))
        if _ERROR in answer:
            raise RuntimeError(str(answer[_ERROR]))
        return answer

    @contextmanager
    def _at_most(self, process: subprocess.Popen[bytes], late: threading.Event) -> Iterator[None]:
        """End the process where what is done within takes too long, and say so in `late`."""
        if self._seconds is None:
            yield
            return

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", self._module],
                    cwd=_ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            except OSError as error:
                raise RuntimeError(f"no process could be started for it: {error.strerror}") from error
        return self._process

    def _end(self) -> int:
        """Kill the process and forget it; its exit code."""
        process, self._process = self._process, None
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.kill()
        code = process.wait()
        process.stdout.close()
        # What was still to be sent is lost with it.
        with contextlib.suppress(OSError):
            process.stdin.close()
        return code


def serve(answer: Callable[[Arrays], Arrays], courtesy: int = 0) -> None:
    """The other side: answer requests until the input ends. One that fails is answered with the reason.

    With `courtesy`, a step of the system's scale of niceness, what trains and the browser come first.
    """
    # Ctrl-C on the server ends this process, too, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if courtesy and hasattr(os, "nice"):
        os.nice(courtesy)
    replies = os.fdopen(os.dup(1), "wb")
    # What a library prints is not part of an answer.
    os.dup2(2, 1)
    while (request := _read(sys.stdin.buffer)) is not None:
        try:
            result = answer(request)
        except InputError as mistake:
            result = {_MISTAKE: np.array(str(mistake))}
        except Exception as error:
            result = {_ERROR: np.array(str(error) or type(error).__name__)}
        try:
            _write(replies, result)
        except BrokenPipeError:
            return


def _write(stream: IO[bytes], arrays: Arrays) -> None:
    data = io.BytesIO()
    np.savez(data, allow_pickle=False, **arrays)
    stream.write(len(data.getbuffer()).to_bytes(8, "little"))
    stream.write(data.getbuffer())
    stream.flush()


def _read(stream: IO[bytes]) -> Arrays | None:
    """The next archive; None where the stream ends before or within it."""
    head = stream.read(8)
    size = int.from_bytes(head, "little")
    data = stream.read(size)
    if len(head) < 8 or len(data) < size:
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
