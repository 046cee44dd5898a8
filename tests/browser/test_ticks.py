"""A screen that looks again every second, and is left as it is about to: its last tick must not clear what came."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import WebSocketRoute
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dans_core import KnowledgeGraph
from dans_core.events import Losses
from dans_lab.runs.writer import RunWriter
from tests import small_run
from tests.browser.states import at_rest, is_calm
from tests.waiting import wait_for

pytestmark = pytest.mark.browser


class LateTick:
    """Between a page and its server: a tick of the screen that is left reaches the server as the next one is drawn."""

    def __init__(self, page: Any) -> None:
        self.tick: BackMsg | None = None
        self.sent = self.next_is_drawn = False
        page.route_web_socket(re.compile("_stcore/stream"), self._connect)

    def _connect(self, route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def to_server(message: str | bytes) -> None:
            asked = BackMsg.FromString(message) if isinstance(message, bytes) else BackMsg()
            if asked.rerun_script.is_auto_rerun:
                if self.sent and not self.next_is_drawn:
                    # Asked together with the late one, a tick of the next screen would hide it.
                    return
                if not self.sent:
                    self.tick = asked
            server.send(message)

        def to_page(message: str | bytes) -> None:
            told = ForwardMsg.FromString(message) if isinstance(message, bytes) else ForwardMsg()
            if self.tick is not None and not self.sent and told.HasField("new_session"):
                if told.new_session.page_script_hash != self.tick.rerun_script.page_script_hash:
                    self.sent = True
                    server.send(self.tick.SerializeToString())
            elif self.sent and told.HasField("script_finished"):
                self.next_is_drawn = True
            route.send(message)

        route.on_message(to_server)
        server.on_message(to_page)


def test_a_tick_of_the_screen_that_was_left_does_not_clear_the_next_one(server, page):
    nations = KnowledgeGraph.load("nations")
    small_run.drawn(server.runs, nations, "nations", "twin", gan=False)
    live = small_run.drawn(server.runs, nations, "nations", "live", epochs=())
    between = LateTick(page)

    def ticks() -> bool:
        at_rest(page)
        return between.tick is not None

    with RunWriter.reopen(live.path) as writer:
        writer.write_status("running", epoch=1)
        writer.append(Losses(epoch=1, base=0.9, warm_up=True, seconds=0.1))
        with page.expect_event("websocket"):
            page.goto(f"{server.url}/train?run=live")
        page.get_by_role("button", name="Compare them").wait_for()
        wait_for(ticks, "a tick of Train")
        page.get_by_role("button", name="Compare them").click()
        page.wait_for_url(re.compile("/compare.*runs=live"))
        page.get_by_role("heading", name="Base model loss").wait_for()
        writer.append(Losses(epoch=2, base=0.45, warm_up=False, seconds=0.1))
        writer.write_status("running", epoch=2)
        page.locator("svg.plot[aria-label*='A 0.450 at epoch 2']").wait_for()
        assert between.next_is_drawn
        writer.write_status("finished", epoch=10)
    page.get_by_text(re.compile("A.*DANS.*finished")).first.wait_for()
    is_calm(page)
