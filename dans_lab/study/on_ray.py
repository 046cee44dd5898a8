"""The runs of a study on a Ray cluster, whose nodes need share neither files nor an installation of this program.

The graph goes to the nodes through Ray's object store and a finished run comes back as an archive of its folder. A run
whose node is lost, or that was stopped, begins anew: it comes to the same numbers.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import secrets
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from dans_core.kg import KnowledgeGraph
from dans_data.errors import InputError
from dans_lab.runs.run import Run
from dans_lab.study.crew import ATTEMPTS
from dans_lab.study.orders import Order, Reply

VERSION = "2.60.0"
"""The version that the tests run with."""

# What a node needs of this program.
_FLOORS = [Path(__file__).resolve().parents[2] / name for name in ("dans_data", "dans_core", "dans_lab")]


def obey_there(order: Order, kg: KnowledgeGraph) -> tuple[Reply, bytes | None]:
    """Do an order on a node: the reply, and the run's folder as an archive where there is a record."""
    from dans_lab.runs import process
    from dans_lab.study.worker import obey

    process.prepare(1)
    with tempfile.TemporaryDirectory() as folder:
        reply = obey(order, kg, Path(folder), lambda: False)
        if reply.record is None:
            return reply, None
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            archive.add(Path(folder) / order.run, order.run)
        return reply, stream.getvalue()


class RayCluster:
    """A crew on a Ray cluster that exists; one CPU a run."""

    def __init__(self, address: str) -> None:
        """Raises InputError where Ray is not installed or there is no cluster at the address."""
        try:
            # By name, as most of Ray has no types.
            ray: Any = importlib.import_module("ray")
        except ImportError:
            raise InputError(
                f"--ray needs Ray, which is not installed; install ray=={VERSION}, or leave --ray out"
            ) from None
        self._ray = ray
        _knock(address)
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level="error",
                runtime_env={
                    "py_modules": [str(floor) for floor in _FLOORS],
                    # A run has one CPU there.
                    "env_vars": {"OMP_NUM_THREADS": "1", "DANS_DEVICE": "cpu"},
                },
            )
        # What a wrong address leads to depends on Ray's version and on the address.
        except Exception as error:
            words = str(error).strip().splitlines()
            raise InputError(
                f"there is no Ray cluster at {address!r} ({words[0] if words else error})"
            ) from None
        self.size = max(1, int(ray.cluster_resources().get("CPU", 1)))
        nodes = sum(node["Alive"] for node in ray.nodes())
        self.words = f"{self.size} CPUs of {nodes} Ray node" + ("s" if nodes > 1 else "")
        self._tasks: dict[Any, Order] = {}
        self._graphs: dict[str, Any] = {}
        self._stopped = False

    def carry_out(self, orders: Sequence[Order]) -> Iterator[Reply | None]:
        """As in `Crew`."""
        there = [order for order in orders if order.kind == "train" and _is_here(order)]
        for order in there:
            yield _take_up(order, self._graph(order.source)[0])
        remote = self._ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1)(obey_there)
        for order in orders:
            if order in there:
                continue
            if self._stopped:
                yield Reply(run=order.run, stopped=True)
                continue
            self._tasks[remote.remote(order, self._graph(order.source)[1])] = order
        while self._tasks:
            done, _ = self._ray.wait(list(self._tasks), num_returns=1, timeout=0.5)
            if not done:
                yield None
            for task in done:
                order = self._tasks.pop(task)
                yield self._received(task, order)

    def _received(self, task: Any, order: Order) -> Reply:
        try:
            reply, archive = self._ray.get(task)
        except Exception as error:
            if self._stopped:
                return Reply(run=order.run, stopped=True)
            words = str(error).strip().splitlines()
            return Reply(
                run=order.run, error=f"run {order.run}: {words[-1] if words else type(error).__name__}"
            )
        if archive is not None:
            try:
                _unpack(archive, Path(order.root), order.run)
            except OSError as error:
                where = f"run {order.run} cannot be put into {order.root}"
                return Reply(run=order.run, error=f"{where} ({error.strerror})")
        return Reply.model_validate(reply)

    def _graph(self, source: str) -> tuple[KnowledgeGraph, Any]:
        """The graph here, and where the nodes find it."""
        if source not in self._graphs:
            kg = KnowledgeGraph.load(source)
            self._graphs[source] = kg, self._ray.put(kg)
        return self._graphs[source]

    def stop(self) -> None:
        """As in `Crew`; runs on nodes leave no checkpoint."""
        self._stopped = True
        for task in list(self._tasks):
            with contextlib.suppress(Exception):
                self._ray.cancel(task, force=True)

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._ray.shutdown()


def _knock(address: str) -> None:
    """Raises InputError where nobody listens at HOST:PORT, which Ray would find out in minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or "/" in address or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        words = getattr(error, "strerror", None) or error
        raise InputError(f"there is no Ray cluster at {address!r} ({words})") from None


def _is_here(order: Order) -> bool:
    """Whether the run of an order was finished on this machine, and only its record is missing."""
    run = Run(Path(order.root) / order.run)
    return (run.path / "config.json").is_file() and run.stored_status.state == "finished"


def _take_up(order: Order, kg: KnowledgeGraph) -> Reply:
    from dans_lab.study.worker import obey

    return obey(order, kg, Path(order.root), lambda: False)


def _unpack(archive: bytes, root: Path, run: str) -> None:
    """Put a run's folder in its place at once; an attempt that stands there gives way."""
    root.mkdir(parents=True, exist_ok=True)
    place = root / f".{run}.{secrets.token_hex(4)}.tmp"
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extractall(place, filter="data")
        if (root / run).exists():
            shutil.rmtree(root / run)
        (place / run).rename(root / run)
    finally:
        shutil.rmtree(place, ignore_errors=True)
