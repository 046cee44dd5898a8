"""The short form of the long test: some kills, visitors, sessions and hostile inputs, by the long one's functions."""

from __future__ import annotations

import pytest

from benchmarks.soak import SHORT, measure

ON_THE_CLOCK = ("95 of 100", "the last of them")
"""What stands in rows that say how quick this machine is."""


# Kills processes that train, and has a server of its own: some 30 s of processor time.
@pytest.mark.kill
def test_nothing_is_lost_left_over_or_down():
    section = measure(SHORT, seed=0, progress=print)
    found = {record["what"]: record for record in section.records}
    assert len(found) > 8
    broken = [
        record
        for what, record in found.items()
        if not record["holds"] and not any(part in what for part in ON_THE_CLOCK)
    ]
    assert broken == []
