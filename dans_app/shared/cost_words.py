"""What the screens say of the time of runs before they start, and of how sure it is: the same words on each."""

from __future__ import annotations

from dans_data.words import bytes_in_words, count, seconds_in_words
from dans_lab.budget.experience import Basis
from dans_lab.budget.several import Forecast

BASIS: dict[Basis, str] = {
    "runs": "The time is that of earlier runs here.",
    "practice": "The time follows from a few steps that were timed here.",
    "busy": "The time follows from a few steps that were timed here beside other work; they are timed again soon.",
    "formulas": "Until a few steps were timed here, the time is that of another machine.",
}

PROVISIONAL: tuple[Basis, ...] = ("busy", "formulas")
"""What a time may rest on that is measured again soon, as a worker that waits times this machine."""

TICK = 2
"""Seconds between two looks at what is provisional."""


def proviso(basis: Basis, free_seconds: float) -> str:
    """What to add to a time that may be another one soon; "" for one that rests on more."""
    provisos: dict[Basis, str] = {
        "formulas": "; the time is a guess until this machine was timed, in some seconds",
        "busy": f"; with no other work on this machine {seconds_in_words(free_seconds)}",
    }
    return provisos.get(basis, "")


def together(told: Forecast) -> str:
    """How many runs, and how long they take: "10 runs, about 3 minutes on this machine, 2 at a time"."""
    at_a_time = "one after another" if told.size == 1 else f"{told.size} at a time"
    return f"{count(told.runs, 'run')}, {seconds_in_words(told.seconds)} on this machine, {at_a_time}"


def in_all(told: Forecast) -> str:
    """The same with how sure that is, and what else the runs need."""
    least, most = (seconds_in_words(seconds).removeprefix("about ") for seconds in told.between)
    return (
        f"{together(told)}: most likely between {least} and {most}{proviso(told.basis, told.free_seconds)}. "
        f"{bytes_in_words(told.disk_bytes)} on disk, {bytes_in_words(told.memory_bytes)} of memory for each at a time."
    )
