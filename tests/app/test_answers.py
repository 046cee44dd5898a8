"""Answers that are kept: equal questions asked once, what is of no use any more let go, bytes bounded."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from dans_app.server.answers import KeptAnswers
from dans_data.errors import InputError
from tests.waiting import PATIENCE

NUMBERS = {"numbers": np.zeros(1000)}


def test_equal_questions_at_the_same_time_are_asked_once():
    answers, asked, go_on, found = KeptAnswers(), [], threading.Event(), []

    def ask():
        asked.append(1)
        assert go_on.wait(PATIENCE)
        return NUMBERS

    def look() -> None:
        found.append(answers.get("run", 1, "question", ask))

    threads = [threading.Thread(target=look) for _ in range(14)]
    for thread in threads:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(asked) == 1 and len(found) == 14 and all(each is NUMBERS for each in found)


def test_a_mistake_reaches_all_who_asked_and_is_not_kept():
    answers = KeptAnswers()

    def fail():
        raise InputError("no such thing")

    for _ in range(2):
        with pytest.raises(InputError, match="no such thing"):
            answers.get("run", 1, "question", fail)
    assert answers.get("run", 1, "question", lambda: NUMBERS) is NUMBERS


def test_answers_to_a_former_state_are_let_go():
    answers = KeptAnswers()
    for state in (1, 2):
        for number in range(5):
            answers.get("run", state, number, lambda: {"numbers": np.zeros(1000)})
    answers.get("other", 1, 0, lambda: NUMBERS)
    assert len(answers._kept) == 6
    assert answers.get("run", 2, 3, lambda: NUMBERS) is not NUMBERS


def test_no_more_bytes_are_kept_than_allowed_and_the_oldest_go_first():
    answers = KeptAnswers(most_bytes=3 * 8600)
    for number in range(5):
        answers.get("run", 1, number, lambda: {"numbers": np.zeros(1000)})
    assert [key[1] for key in answers._kept] == [2, 3, 4] and answers._bytes == 3 * 8500
