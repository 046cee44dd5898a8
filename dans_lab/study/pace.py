"""How long a study still takes, from what its runs took and were expected to take; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dans_lab.budget.several import together
from dans_lab.study.folder import RunRecord
from dans_lab.study.plan import Plan


def measured(
    plan: Plan, records: Mapping[str, RunRecord], took: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Mean seconds of the finished runs of each kind; `took` has those of some runs with all work included."""
    seconds: dict[str, list[float]] = {}
    for planned in plan.jobs:
        record = records.get(planned.run)
        if record is not None and record.state == "finished":
            each = (took or {}).get(planned.run, record.seconds)
            seconds.setdefault(plan.kind_of[planned.run], []).append(each)
    return {each: sum(some) / len(some) for each, some in seconds.items()}


def left(
    plan: Plan,
    records: Mapping[str, RunRecord],
    expected: Mapping[str, float],
    size: int,
    took: Mapping[str, float] | None = None,
    given_up: Collection[str] = (),
    done: Mapping[str, float] | None = None,
) -> float | None:
    """Seconds that the runs without a record take `size` at a time; None where nothing is known of any of them.

    A kind that has finished runs takes as long as these; others as long as was `expected` of them, times what the
    finished ones took beyond what was expected of them. Kinds of which nothing is known take as long as the mean of the
    others. `done` is the share of a run that is trained already; runs that were `given_up` take no time.
    """
    known = measured(plan, records, took)
    pairs = [(expected[each], seconds) for each, seconds in known.items() if each in expected]
    pace = sum(seconds for _, seconds in pairs) / sum(said for said, _ in pairs) if pairs else 1.0
    every = {each: pace * seconds for each, seconds in expected.items()} | known
    rest = [
        (planned.run, every.get(plan.kind_of[planned.run]))
        for planned in plan.jobs
        if planned.run not in records and planned.run not in given_up
    ]
    some = [seconds for _, seconds in rest if seconds is not None] or list(every.values())
    if rest and not some:
        return None
    mean = sum(some) / len(some) if some else 0.0
    shares = done or {}
    return together(
        ((mean if seconds is None else seconds) * (1 - shares.get(run, 0.0)) for run, seconds in rest), size
    )
