"""Lines that are no triplets: told all at once, or left out where a person says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dans_data import naming
from dans_data.errors import InputError
from dans_data.words import count, listed, plural

MOST_KEPT = 100
"""Faults of which the words are kept; beyond it they are counted."""

_MOST_NUMBERED = 12
"""Lines whose numbers stand in a sentence."""

_HOPELESS = 1_000
"""Faults after which nothing more is read where they are most of the lines."""

OnFault = Callable[[int, str], None]
"""Takes the number of a line, from 1, and what is wrong with it in words."""


@dataclass(frozen=True)
class Fault:
    """A line that is no triplet: the file, the line from 1, and what is wrong in words."""

    where: str
    line: int
    problem: str


class BadLinesError(InputError):
    """Some lines are no triplets.

    Attributes:
        faults: the first of them, at most `MOST_KEPT`.
        count: how many there are.
        read: how many triplets could be read beside them.
    """

    def __init__(self, faults: Sequence[Fault], count: int, read: int) -> None:
        self.faults = tuple(faults)
        self.count = count
        self.read = read
        first = self.faults[0]
        super().__init__(f"{first.where}, line {first.line}: {first.problem}{self._others()}")

    @property
    def few(self) -> bool:
        """Whether they may be left out: where most lines are none, the file is of another form."""
        return self.read > self.count

    def _others(self) -> str:
        others = self.count - 1
        if not others:
            return ""
        verb = plural(others, "is no triplet", "are no triplets")
        return f" ({count(others, 'more line')} {verb}: {numbered(self.faults[1:], others)})"


class Faults:
    """Collects the faults of all files of a data set."""

    def __init__(self) -> None:
        self._kept: list[Fault] = []
        self._count = 0
        self._read = 0

    def of(self, where: str) -> OnFault:
        """Where to tell what is wrong with the lines of a file; raises BadLinesError where hardly one is right."""

        def told(line: int, problem: str) -> None:
            self._count += 1
            if len(self._kept) < MOST_KEPT:
                self._kept.append(Fault(where, line, problem))
            if self._count >= _HOPELESS and self._count > self._read:
                raise self._error()

        return told

    def count_read(self, triplets: int) -> None:
        """So many triplets were read beside them."""
        self._read += triplets

    def settle(self, leave_out: bool) -> str:
        """To be called at the end: what was left out, in words; "" where nothing was wrong.

        Raises:
            BadLinesError: something was, and it is not to be left out or is most of what was read.
        """
        if not self._count:
            return ""
        error = self._error()
        if not (leave_out and error.few):
            raise error
        files = {naming.base(fault.where) for fault in self._kept}
        which = plural(self._count, "which is no triplet", "which are no triplets")
        words = f"{count(self._count, 'line')} left out, {which}: {numbered(self._kept, self._count)}"
        return words if len(files) > 1 else f"{files.pop()}: {words}"

    def _error(self) -> BadLinesError:
        return BadLinesError(self._kept, self._count, self._read)


def numbered(faults: Sequence[Fault], total: int) -> str:
    """The numbers of lines, such as "7, 9 and 5 more", each file named where there are several."""
    shown = faults[:_MOST_NUMBERED]
    several = len({fault.where for fault in faults}) > 1
    parts = [f"{naming.base(fault.where)} {fault.line}" if several else str(fault.line) for fault in shown]
    return listed([*parts, f"{total - len(shown):,} more"] if total > len(shown) else parts)
