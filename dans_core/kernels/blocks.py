"""How much is worked on at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch

# Numbers that the cache of a CPU's core holds: 1 MiB of float32.
_CACHED = 1 << 18
# Where there is no cache to fit: 128 MiB of float32.
_ELSEWHERE = 1 << 25


def at_once(device: torch.device) -> int:
    """How many numbers to work on at a time: as many as the CPU's cache holds, or many more where there is none."""
    return _CACHED if device.type == "cpu" else _ELSEWHERE


def slices(length: int, rows: int) -> Iterator[slice]:
    """Consecutive slices of `rows` rows, at least one, of a whole of `length`."""
    rows = max(1, rows)
    return (slice(start, start + rows) for start in range(0, length, rows))
