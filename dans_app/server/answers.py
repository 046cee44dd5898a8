"""Answers that are kept as long as they may be asked for again, and equal questions that are answered once.

No Streamlit here.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future

from dans_app.server.helper import Arrays

MOST_BYTES = 256_000_000
"""Bytes of all answers that are kept; an inspection has some thousand, the vectors of a large graph 25 million."""


class KeptAnswers:
    """Answers by what they are about, such as the weights of a run, then by the question.

    Where the state of what they are about has changed, as that of weights does while a run trains, those to its former
    state are let go: no one will ask for them again.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._turn = threading.Lock()
        self._kept: OrderedDict[tuple[Hashable, Hashable], Arrays] = OrderedDict()
        self._under_way: dict[tuple[Hashable, Hashable, Hashable], Future[Arrays]] = {}
        self._states: dict[Hashable, Hashable] = {}

    def get(self, about: Hashable, state: Hashable, question: Hashable, ask: Callable[[], Arrays]) -> Arrays:
        """The kept answer, that which another thread is waiting for, or what `ask` gives; raises as `ask` does."""
        whole = (about, state, question)
        with self._turn:
            if self._states.setdefault(about, state) != state:
                self._forget(about)
                self._states[about] = state
            if (kept := self._kept.get((about, question))) is not None:
                self._kept.move_to_end((about, question))
                return kept
            future = self._under_way.get(whole)
            first = future is None
            if future is None:
                future = self._under_way[whole] = Future()
        if not first:
            return future.result()
        try:
            answer = ask()
        except BaseException as error:
            with self._turn:
                del self._under_way[whole]
            # What ended that thread alone is no answer for others.
            ended = not isinstance(error, Exception)
            future.set_exception(RuntimeError("it was given up; ask again") if ended else error)
            raise
        with self._turn:
            del self._under_way[whole]
            if self._states.get(about) == state:
                self._keep((about, question), answer)
        future.set_result(answer)
        return answer

    def _keep(self, key: tuple[Hashable, Hashable], answer: Arrays) -> None:
        self._kept[key] = answer
        self._bytes += _size(answer)
        while self._bytes > self._most:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= _size(oldest)

    def _forget(self, about: Hashable) -> None:
        for key in [key for key in self._kept if key[0] == about]:
            self._bytes -= _size(self._kept.pop(key))


def _size(answer: Arrays) -> int:
    # What an entry takes beside its numbers.
    return 500 + sum(array.nbytes for array in answer.values())
