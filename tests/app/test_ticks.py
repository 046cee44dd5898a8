"""Ticks of many screens: together they keep to their share of a core, and a click never waits behind one."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime.scriptrunner import RerunData
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests

from dans_app.server import ticks
from tests.waiting import wait_for


class Clock:
    """A time that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_screen_alone_never_waits():
    clock = Clock()
    turns = ticks.Turns(now=clock)
    for _ in range(20):
        at, booked = turns.book()
        assert at == clock.now
        turns.pay(booked, 0.03)
        clock.now += 0.5


@given(st.lists(st.floats(0.001, 0.3), min_size=50, max_size=200))
def test_ticks_without_a_pause_take_their_share(costs: list[float]):
    clock = Clock()
    turns = ticks.Turns(share=0.5, now=clock)
    for cost in costs:
        at, booked = turns.book()
        clock.now = max(clock.now, at) + cost
        turns.pay(booked, cost)
    at, _ = turns.book()
    # Each has been paid for when the next one starts.
    assert at - 100.0 == pytest.approx(sum(costs) / 0.5)


def test_what_was_booked_for_a_tick_that_did_not_run_is_given_back():
    turns = ticks.Turns(now=Clock())
    first = turns.book()
    second = turns.book()
    assert second[0] > first[0]
    turns.pay(second[1], None)
    assert turns.book()[0] == second[0]


def test_no_tick_waits_longer_than_the_longest_time():
    clock = Clock()
    turns = ticks.Turns(now=clock)
    _, booked = turns.book()
    turns.pay(booked, 1_000.0)
    assert turns.book()[0] == clock.now + ticks.LONGEST


TICK = RerunData(fragment_id_queue=["part"], is_auto_rerun=True)
PRESSED = WidgetStates(widgets=[WidgetState(id="button", trigger_value=True)])


@pytest.mark.parametrize(
    "asked, tick",
    [
        (TICK, True),
        (RerunData(), False),
        (RerunData(fragment_id_queue=["part"]), False),
        (RerunData(is_auto_rerun=True), False),
        (RerunData(fragment_id_queue=["part"], is_auto_rerun=True, widget_states=PRESSED), False),
    ],
)
def test_what_a_person_asked_for_is_no_tick(asked: RerunData, tick: bool):
    assert ticks._is_tick(asked) is tick


class Runner(SimpleNamespace):
    """What a tick needs of the thread that runs the scripts of one visitor: its parts, and what else was asked."""

    def __init__(self) -> None:
        parts = SimpleNamespace(contains={"part"}.__contains__)
        super().__init__(_requests=ScriptRequests(), _fragment_storage=parts)


def test_a_click_ends_the_wait_of_a_tick(monkeypatch: pytest.MonkeyPatch):
    ran: list[RerunData] = []
    monkeypatch.setattr(ticks, "_run_script", lambda _, asked: ran.append(asked))
    monkeypatch.setattr(ticks, "LONGEST", 3600.0)
    turns = ticks.Turns()
    monkeypatch.setattr(ticks, "turns", turns)
    turns.pay(turns.book()[1], 1_000.0)
    runner: Any = Runner()
    waiting = threading.Thread(target=ticks._of_this_screen, args=(runner, TICK), daemon=True)
    waiting.start()
    # A second tick meanwhile is no reason to end it.
    assert runner._requests.request_rerun(TICK)
    time.sleep(3 * ticks._LOOK)
    assert waiting.is_alive()
    assert runner._requests.request_rerun(RerunData())
    wait_for(lambda: not waiting.is_alive(), "the end of a tick's wait")
    assert not ran
    ticks._of_this_screen(runner, RerunData())
    assert len(ran) == 1


def test_a_tick_waits_while_a_click_of_someone_else_is_answered(monkeypatch: pytest.MonkeyPatch):
    ran: list[RerunData] = []
    answered = threading.Event()

    def run(_: Any, asked: RerunData) -> None:
        if not ticks._is_tick(asked):
            assert answered.wait(60)
        ran.append(asked)

    monkeypatch.setattr(ticks, "_run_script", run)
    monkeypatch.setattr(ticks, "CLICKS_FIRST", 3600.0)
    monkeypatch.setattr(ticks, "turns", ticks.Turns())
    someone, other = (
        threading.Thread(target=ticks._of_this_screen, args=(Runner(), asked), daemon=True)
        for asked in (RerunData(), TICK)
    )
    someone.start()
    wait_for(lambda: bool(ticks._answering), "the click")
    other.start()
    time.sleep(3 * ticks._LOOK)
    assert other.is_alive() and not ran
    answered.set()
    wait_for(lambda: not other.is_alive(), "the end of the tick")
    assert len(ran) == 2 and ran[-1] is TICK and not ticks._answering
    # Not for ever: the screen of someone who only looks on moves, too.
    ticks._answering.add(0)
    try:
        monkeypatch.setattr(ticks, "CLICKS_FIRST", 0.0)
        ticks._of_this_screen(Runner(), TICK)  # type: ignore[arg-type] # all that a tick needs of one
    finally:
        ticks._answering.discard(0)
    assert len(ran) == 3


def test_a_tick_that_follows_a_click_leaves_it_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ScriptRequests, "_request_rerun_locked", ScriptRequests._request_rerun_locked)
    monkeypatch.setattr(ticks.ScriptRunner, "_run_script", ticks.ScriptRunner._run_script)
    ticks.begin()
    tick = RerunData(fragment_id="part", is_auto_rerun=True, page_script_hash="the screen that is left")
    click = RerunData(page_script_hash="the next screen", widget_states=PRESSED)
    asked = ScriptRequests()
    assert asked.request_rerun(tick) and asked.request_rerun(click) and asked.request_rerun(tick)
    request = asked.on_scriptrunner_ready()
    assert request.rerun_data.page_script_hash == "the next screen"
    assert request.rerun_data.fragment_id_queue == [] and request.rerun_data.widget_states == PRESSED
    # Where nothing else was asked it is answered, and nobody else's message is let go.
    assert asked.request_rerun(tick) and asked.request_rerun(tick) and asked.request_rerun(RerunData())
    assert asked.on_scriptrunner_ready().rerun_data.fragment_id_queue == []
    assert asked.request_rerun(tick)
    assert asked.on_scriptrunner_ready().rerun_data.fragment_id_queue == ["part"]
