"""Waiting for what must happen: by a look at the state again and again, so that a busy machine only takes longer."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 300.0
"""Seconds after which what has not happened is taken never to happen."""


def wait_for(condition: Callable[[], object], what: str = "it", patience: float = PATIENCE) -> None:
    """Return once `condition` holds; fails with `what` did not happen."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen in {patience:.0f} s"
        time.sleep(0.05)
