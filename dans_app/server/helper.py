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
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from dans_data.errors import InputError
from dans_lab import log

Arrays = dict[str, npt.NDArray[Any]]

_ROOT = Path(__file__).resolve().parents[2]
_MISTAKE, _ERROR = "mistake", "error"


class HelperProcess:
    """One process that runs a module, started when first asked, and again if it has died. Several threads may ask."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, **request: npt.ArrayLike) -> Arrays:
        """The answer of the process. Its InputError is raised here, too, and any other failure as RuntimeError."""
        with self._turn:
            process = self._running()
            assert process.stdin is not None and process.stdout is not None
            try:
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
                log.tell("helper died", module=self._module, exit_code=code)
                raise RuntimeError(f"the process for it ended with exit code {code}")
        if _MISTAKE in answer:
            raise InputError(str(answer[_MISTAKE]))
        if _ERROR in answer:
            raise RuntimeError(str(answer[_ERROR]))
        return answer

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
