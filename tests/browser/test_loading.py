"""Parts of the page that are fetched when they are first shown, over a network that fails."""

from __future__ import annotations

from typing import Any

import pytest

from tests import small_run
from tests.browser.states import is_calm

pytestmark = pytest.mark.browser


def test_a_chart_that_did_not_arrive_comes_by_itself(server, page: Any):
    small_run.trained(server.runs, "small", "uniform")
    asked: list[str] = []

    def fails_at_first(route: Any) -> None:
        asked.append(route.request.url)
        route.abort() if len(asked) == 1 else route.continue_()

    page.route("**/static/js/PlotlyChart*", fails_at_first)
    page.goto(f"{server.url}/triplet?run=small&head=brazil&relation=embassy&tail=china")
    page.locator(".js-plotly-plot .points path").first.wait_for()
    assert len(asked) == 2 and "tail=china" in page.url
    is_calm(page)
