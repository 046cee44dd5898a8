"""Deep links to a fresh server, which has to run the entry before the page; tests of Map and Train make their own."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests import small_run
from tests.browser.states import is_calm

pytestmark = pytest.mark.browser

LINKS = {
    "Data": ("data?data=nations&entity=china", "china is the head of"),
    "Triplet": (
        "triplet?run=small&head=brazil&relation=embassy&tail=china",
        "(brazil, embassy, china) is",
    ),
    "Predict": ("predict?run=small&head=brazil&relation=embassy", "over all of them its MRR is"),
    "Step": ("step?run=small&stop=4", "Noise becomes fakes"),
    "Diagnostics": ("diagnostics?run=umls-complex-dans&epoch=100", "At epoch 100"),
    "Compare": ("compare?runs=small,umls-complex-uniform", "trained on other data"),
    "Studies": ("studies?metric=hits_at_10", "H@10 on "),
    "Runs": ("runs?sampler=none-such", "that filter is left out"),
}
"""Of each screen, an address and what it shows there."""


def test_each_screen_shows_menu_title_and_what_the_address_asks_for(runs, serve, open_page):
    small_run.trained(runs, "small")
    server = serve()
    # All at once, so that none of them finds what another has begun.
    pages = {title: open_page() for title in LINKS}
    for title, page in pages.items():
        page.goto(f"{server.url}/{LINKS[title][0]}", wait_until="commit")
    for title, page in pages.items():
        page.get_by_text(LINKS[title][1]).first.wait_for()
        expect(page).to_have_title(f"{title} · DANS Lab")
        page.get_by_role("heading", name=title, exact=True).first.wait_for()
        page.get_by_role("link", name="Map").first.wait_for()
        is_calm(page)
    assert "Traceback" not in server.log()
