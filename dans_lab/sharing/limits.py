"""How much the visitors of a shared server may ask for; over a limit there is one sentence."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from dans_data.errors import InputError
from dans_data.limits import LIMITS_VARIABLE
from dans_data.triplets import printable, suggestion
from dans_data.words import count, seconds_in_words

if TYPE_CHECKING:
    from dans_core.config import Config
    from dans_lab.budget.sizes import Sizes

CLASSROOM = (
    "runs=2 runs_each=2 waiting=60 epochs=300 minutes=10 graph_triplets=20000 graph_entities=5000 "
    "upload_megabytes=5"
)
"""For a class of thirty on a machine of two cores."""

_MOST = 10**9


@dataclass(frozen=True)
class Allowance:
    """The limits of a shared server. All but `runs`, `waiting` and `upload_megabytes` are for students alone.

    Attributes:
        runs: that train at once, on no more than a core each.
        runs_each: under way and waiting, of one visitor.
        waiting: in the queue, of all visitors.
        epochs: of a run.
        minutes: that a run trains, over all its sessions.
        graph_triplets, graph_entities: of the data set that is trained on.
        upload_megabytes: of one file.
    """

    runs: int = 1_000
    runs_each: int = 4
    waiting: int = 100
    epochs: int = 2_000
    minutes: int = 120
    graph_triplets: int = 500_000
    graph_entities: int = 100_000
    upload_megabytes: int = 100

    def check(self, config: Config, sizes: Sizes, seconds: float) -> None:
        """InputError where a run with these settings, which takes so many seconds, is more than a student may have."""
        if config.epochs > self.epochs:
            raise InputError(
                f"{count(config.epochs, 'epoch')} are more than this server allows a student, {self.epochs:,}; "
                "choose fewer"
            )
        for kind, asked, most in (
            ("triplets", sizes.train, self.graph_triplets),
            ("entities", sizes.entities, self.graph_entities),
        ):
            if asked > most:
                raise InputError(
                    f"this graph has {asked:,} {kind}, and this server lets students train on {most:,}; "
                    "choose a smaller one"
                )
        if seconds > 60 * self.minutes:
            raise InputError(
                f"this run would take {seconds_in_words(seconds)}, and this server gives a student's run "
                f"{count(self.minutes, 'minute')}; choose fewer epochs, or a smaller graph"
            )

    def check_time(self, seconds: float) -> None:
        """InputError where a run that has trained for so many seconds has had its time."""
        if seconds >= 60 * self.minutes:
            raise InputError(
                f"this run has had the {count(self.minutes, 'minute')} that this server gives a student's run"
            )

    def check_place(self, own: int, waiting: int) -> None:
        """InputError for a visitor who has so many runs under way and waiting, where so many wait of all."""
        if own >= self.runs_each:
            raise InputError(
                f"you have {count(own, 'run')} under way or waiting, and this server allows each student "
                f"{self.runs_each:,}; wait for one to end, or stop it"
            )
        self.check_queue(waiting)

    def check_queue(self, waiting: int) -> None:
        """InputError where so many runs wait that no more may."""
        if waiting >= self.waiting:
            raise InputError(
                f"{count(waiting, 'run waits', 'runs wait')} already, and no more may; try again later"
            )


NAMES = tuple(field.name for field in fields(Allowance))


def parse(*texts: str) -> tuple[Allowance, str]:
    """The limits that texts such as "epochs=300 minutes=10" name, a later one before an earlier; and what is not ours.

    The rest are the limits of files, which are read where files are (`dans_data/limits.py`).
    """
    given: dict[str, int] = {}
    rest: dict[str, str] = {}
    for text in texts:
        for pair in text.split():
            name, is_pair, value = pair.partition("=")
            if name not in NAMES:
                rest[name] = pair
                continue
            if not (is_pair and value.isascii() and value.isdigit() and 0 < int(value[:12]) <= _MOST):
                raise InputError(
                    f'the limit "{printable(pair, 80)}" is none; expected a whole number from 1, such as {name}=10'
                )
            given[name] = int(value[:12])
    return Allowance(**given), " ".join(rest.values())


def check_rest(text: str) -> None:
    """InputError where limits that are not of a server (see `parse`) are not of files either."""
    from dans_data.limits import Limits

    known = [*NAMES, *(field.name for field in fields(Limits))]
    for pair in text.split():
        name = pair.partition("=")[0]
        if name not in known:
            raise InputError(
                f'there is no limit "{printable(name, 80)}" for --limits and {LIMITS_VARIABLE}; expected '
                f"{', '.join(known)}{suggestion(name[:80], known)}"
            )
