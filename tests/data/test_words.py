"""Words that every floor shares: numbers, plurals, shares, and text of unknown origin."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dans_data.words import count, listed, number, p_value, rough, share, signed, visible_text


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (count(1, "run"), "1 run"),
        (count(0, "run"), "0 runs"),
        (count(1200, "entity", "entities"), "1,200 entities"),
        (number(None), "–"),
        (number(-0.0004), "0.000"),
        (number(-0.004), "−0.004"),
        (number(10.0, 1), "10.0"),
        (number(0.5, 0), "0"),
        (rough(5.0), "5.0"),
        (rough(81.26), "81.3"),
        (rough(99.96), "100"),
        (rough(4210.4), "4,210"),
        (signed(0.0124), "+0.012"),
        (signed(-0.0124, 2), "−0.01"),
        (signed(-0.0001), "0.000"),
        (signed(math.inf), "+inf"),
        (share(0.004), "under 1 %"),
        (share(0.006), "1 %"),
        (share(0.314), "31 %"),
        (share(0), "0 %"),
        (share(0.0009, 1), "under 0.1 %"),
        (share(0.0972, 1), "9.7 %"),
        (share(0.314, 1), "31 %"),
        (p_value(0.0004), "p < 0.001"),
        (p_value(0.0314), "p = 0.031"),
        (p_value(0.314), "p = 0.31"),
        (listed(["a"]), "a"),
        (listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_words(found: str, words: str) -> None:
    assert found == words


@given(some.floats(-100, 100), some.integers(0, 4))
def test_a_number_with_its_sign_reads_back_as_the_rounded_one(value: float, digits: int) -> None:
    shown = signed(value, digits)
    assert float(shown.replace("−", "-")) == float(f"{value:.{digits}f}")
    assert (shown[0] in "+−") == (float(f"{value:.{digits}f}") != 0)
    assert number(abs(value), digits) == re.sub("^[+−]", "", shown)


@given(some.text())
def test_visible_text_is_one_printable_line(text: str) -> None:
    shown = visible_text(text)
    assert shown == shown.strip() == visible_text(shown)
    assert all(character.isprintable() or character in "\u200c\u200d" for character in shown)
