"""A training process of a study: it takes orders from standard input, one after another, and answers each.

    python -m dans_lab.study.worker

The end of input means the end, also in the middle of a run, which then leaves a checkpoint to go on from. So neither
a stopped nor a killed study leaves processes behind.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from dans_core import config as config_module
from dans_core.kg import KnowledgeGraph
from dans_data.errors import InputError
from dans_lab.runs import process
from dans_lab.study.execute import Stopped, execute, time_run
from dans_lab.study.orders import Order, Reply
from dans_lab.study.plan import PlannedRun


def obey(order: Order, kg: KnowledgeGraph, root: Path, stop: Callable[[], bool]) -> Reply:
    """Do an order on a graph, with runs in `root`; whatever goes wrong is told in the reply."""
    try:
        config = config_module.parse(order.config)
        if order.kind == "time":
            return Reply(run=order.run, seconds=time_run(config, kg, stop))
        begun = time.perf_counter()
        record = execute(PlannedRun(order.run, config), order.study, kg, order.source, root, stop)
        return Reply(run=order.run, record=record, seconds=time.perf_counter() - begun)
    except Stopped:
        return Reply(run=order.run, stopped=True)
    except InputError as error:
        return Reply(run=order.run, error=str(error))
    except Exception as error:
        traceback.print_exc()
        words = " ".join(str(error).split())
        return Reply(run=order.run, error=f"run {order.run}: {type(error).__name__}: {words}")


@cache
def _graph(source: str) -> KnowledgeGraph:
    return KnowledgeGraph.load(source)


def main() -> int:
    """Obey until the end of input; the exit code is 0, or 2 for what is no order."""
    # What libraries print is no answer: it goes where errors go.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    stop = threading.Event()
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def end(*_: object) -> None:
        stop.set()
        lines.put(None)

    def listen() -> None:
        for line in sys.stdin:
            lines.put(line)
        end()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=listen, daemon=True).start()
    process.prepare(1)
    while (line := lines.get()) is not None and not stop.is_set():
        try:
            order = Order.model_validate_json(line)
        except ValidationError as error:
            print(f"error: not an order: {error.errors(include_url=False)[0]['msg']}", file=sys.stderr)
            return 2
        try:
            reply = obey(order, _graph(order.source), Path(order.root), stop.is_set)
        except InputError as error:
            reply = Reply(run=order.run, error=str(error))
        try:
            print(reply.model_dump_json(), file=answers, flush=True)
        except BrokenPipeError:
            return 0
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # The listening thread may still be reading, and would hold up an orderly end.
    os._exit(code)
