"""Runs and studies that must have come to the same numbers, however often one of them was broken off."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import torch

from dans_core.events import Event
from dans_lab.runs.run import Run
from dans_lab.study.folder import Study


def timeless(value: Any) -> Any:
    """Without what differs between two equal runs: how long they took."""
    if isinstance(value, Event):
        return timeless({"kind": value.kind, **dataclasses.asdict(value)})
    if isinstance(value, dict):
        return {
            k: timeless(v) for k, v in value.items() if k not in ("seconds", "epoch_seconds", "event_offset")
        }
    return [timeless(v) for v in value] if isinstance(value, list | tuple) else value


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def assert_same_run(one: Run, other: Run) -> None:
    """The same events, checkpoints and snapshots."""
    assert timeless(one.events()) == timeless(other.events())
    for which in ("last", "best"):
        assert same(*(timeless(run.load_checkpoint(which)) for run in (one, other)))
    assert [epoch for epoch, _ in one.snapshots()] == [epoch for epoch, _ in other.snapshots()]
    for epoch, _ in one.snapshots():
        arrays, others = one.load_snapshot(epoch), other.load_snapshot(epoch)
        assert arrays.keys() == others.keys()
        assert all((arrays[name] == others[name]).all() for name in arrays)


def outcome(runs: Path, name: str = "small") -> dict[str, dict[str, Any]]:
    """Everything that records say but the time it took."""
    records = Study(runs / "studies" / name).records()
    timeless = {"seconds": True, "curves": {"seconds"}}
    return {run: record.model_dump(exclude=timeless) for run, record in records.items()}


def processes_of(runs: Path) -> list[int]:
    """Processes that train for studies in this folder of runs."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and str(runs) in (entry / "environ").read_text(errors="replace"):
                command_line = (entry / "cmdline").read_text(errors="replace")
                if "dans_" in command_line and "defunct" not in command_line:
                    found.append(int(entry.name))
    return found
