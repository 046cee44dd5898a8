"""Deep links to a fresh server, which has to run the entry before the page, as WebSocket visitors hear the answer.

What a browser makes of it is looked at in the tests of Map and Train, which have fresh servers, too.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.soak_visits import Visitor
from tests import small_run
from tests.waiting import PATIENCE

pytestmark = pytest.mark.long

LINKS = {
    "Data": ("data=nations&entity=china", "**china** is the head of"),
    "Triplet": ("run=small&head=brazil&relation=embassy&tail=china", "(brazil, embassy, china) is"),
    "Predict": ("run=small&head=brazil&relation=embassy", "over all of them its MRR is"),
    "Step": ("run=small&stop=4", "Noise becomes fakes"),
    "Diagnostics": ("run=umls-complex-dans&epoch=100", "At epoch 100"),
    "Compare": ("runs=small,umls-complex-uniform", "trained on other data"),
    "Studies": ("metric=hits_at_10", "H@10 on "),
    "Runs": ("sampler=none-such", "that filter is left out"),
}
"""Of each screen, the query of an address and what it shows there."""


class Reader(Visitor):
    """A visitor that keeps what it is told."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.told = b""
        self.title = ""
        self.menu: set[str] = set()
        self.headings: set[str] = set()

    def _take(self, message: ForwardMsg) -> bool:
        match message.WhichOneof("type"):
            case "delta":
                self.told += message.delta.SerializeToString()
                if message.delta.new_element.WhichOneof("type") == "heading":
                    self.headings.add(message.delta.new_element.heading.body)
            case "navigation":
                self.menu = {page.page_name for page in message.navigation.app_pages}
            case "page_config_changed":
                self.title = message.page_config_changed.title or self.title
        return super()._take(message)


def read(url: str, screen: str, query: str, text: str) -> Reader:
    """What a visitor is told up to this text, which may come with what renews itself."""
    me = Reader(url)
    try:
        me.open(screen.lower(), query)
        end = time.monotonic() + PATIENCE
        while text.encode() not in me.told and time.monotonic() < end:
            me.follow(0.5)
    finally:
        me.close()
    return me


def test_each_screen_shows_menu_title_and_what_the_address_asks_for(runs, serve):
    small_run.trained(runs, "small")
    server = serve()
    # All at once, so that none of them finds what another has begun.
    with ThreadPoolExecutor(len(LINKS)) as at_once:
        answers = {name: at_once.submit(read, server.url, name, *link) for name, link in LINKS.items()}
    for name, answer in answers.items():
        told = answer.result()
        assert LINKS[name][1].encode() in told.told, name
        assert told.title == f"{name} · DANS Lab"
        assert name in told.headings
        assert {*LINKS, "Map", "Train"} <= told.menu
        assert told.errors == []
    assert "Traceback" not in server.log()
