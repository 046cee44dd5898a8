"""A class on a shared server, in real browsers: coming in, a run, the limit, the queue, and what is another's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect

from dans_lab.lessons.files import lessons
from tests.browser.conftest import _end_processes
from tests.browser.server import Server, free_port
from tests.browser.states import at_rest, is_calm
from tests.provider import Provider

pytestmark = pytest.mark.browser

FORM = "dataset=nations&sampler=uniform&decoder=distmult&epochs=50000"
COURSE = free_port()
"""Where the page of a course is, which may embed the app."""

LIMITS = "runs=1 runs_each=1 epochs=50000 minutes=600"


@pytest.fixture(scope="module")
def shared(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A shared server below a path, on which one run trains at a time; by a code, or by signing in."""
    folder = tmp_path_factory.mktemp("shared")
    runs, file, port = folder / "runs", folder / "oidc.toml", free_port()
    runs.mkdir()
    file.write_text(provider.settings(f"http://127.0.0.1:{port}/dans"))
    options = ("--limits", LIMITS, "--oidc-file", str(file), "--embed-in", f"http://127.0.0.1:{COURSE}")
    started = Server(runs, serve=options, port=port, DANS_ACCESS_CODE="hello-class")
    yield started
    started.stop()
    _end_processes(runs)


def comes_in(page: Page, address: str) -> None:
    """Type the code, and see what the address shows."""
    page.goto(address)
    page.get_by_label("Access code").fill("hello-class")
    page.get_by_role("button", name="Come in").click()
    page.get_by_role("button", name="Start training").wait_for()
    at_rest(page)
    assert page.url.startswith(address.partition("?")[0])


def test_a_class_trains_in_turns(shared, open_page):
    address = f"{shared.url}/dans/"
    one, other = open_page(), open_page(color_scheme="dark", viewport={"width": 390, "height": 844})
    comes_in(one, f"{address}?{FORM}")
    one.get_by_role("button", name="Start training").click()
    one.get_by_text("of 50,000").first.wait_for()
    # The curve is live.
    one.locator("svg.plot path.line").first.wait_for()
    at_rest(one)
    one.get_by_role("button", name="Start training").click()
    one.get_by_text("ou have 1 run under way or waiting").first.wait_for()

    wide = open_page()
    comes_in(wide, f"{address}?{FORM.replace('50000', '50001')}")
    wide.get_by_text("more than this server allows a student, 50,000").first.wait_for()
    expect(wide.get_by_role("button", name="Start training")).to_be_disabled()
    # Another's run is only looked at.
    first = one.url.partition("run=")[2].partition("&")[0]
    wide.goto(f"{address}?run={first}&{FORM}")
    wide.get_by_text("of 50,000").first.wait_for()
    at_rest(wide)
    expect(wide.get_by_role("button", name="Stop")).to_have_count(0)
    wide.get_by_role("button", name="Start training").click()
    wide.get_by_text("1 of 1 in the queue").first.wait_for()
    expect(wide.get_by_role("button", name="Pause")).to_have_count(0)

    one.get_by_role("button", name="Stop").click()
    one.get_by_text("Stopped at epoch").first.wait_for()
    wide.get_by_role("button", name="Pause").wait_for()
    wide.get_by_role("button", name="Stop").click()
    wide.get_by_text("Stopped at epoch").first.wait_for()
    for page in (one, wide):
        is_calm(page)

    other.goto(address)
    other.get_by_label("Access code").fill("nonsense")
    other.get_by_role("button", name="Come in").click()
    expect(other.get_by_role("alert")).to_have_text("That is not the access code.")
    assert other.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    one.get_by_role("button", name="Log out").click()
    one.get_by_role("link", name="Log out on this computer").click()
    one.get_by_role("button", name="Log out").click()
    one.get_by_label("Access code").wait_for()
    one.goto(address)
    one.get_by_label("Access code").wait_for()


def signs_in(page: Page, address: str, name: str) -> None:
    """Sign in at the provider, and see what the address shows."""
    page.goto(address)
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Start training").wait_for()
    at_rest(page)
    assert page.url.startswith(address.partition("?")[0])


def test_a_run_is_of_the_person_who_signed_in(shared, provider, open_page):
    address = f"{shared.url}/dans/"
    here, elsewhere, other = open_page(), open_page(), open_page()
    signs_in(here, f"{address}?{FORM}", "bob")
    here.get_by_role("button", name="Start training").click()
    here.get_by_text("of 50,000").first.wait_for()
    at_rest(here)
    run = here.url.partition("run=")[2].partition("&")[0]
    signs_in(other, f"{address}?run={run}", "dan")
    other.get_by_text("of 50,000").first.wait_for()
    expect(other.get_by_role("button", name="Stop")).to_have_count(0)
    # It is theirs on another computer, too.
    signs_in(elsewhere, f"{address}?run={run}", "bob")
    elsewhere.get_by_role("button", name="Stop").click()
    elsewhere.get_by_text("Stopped at epoch").first.wait_for()

    here.get_by_role("button", name="Log out").click()
    here.get_by_role("link", name="Log out on this computer").click()
    here.get_by_role("button", name="Log out").click()
    here.get_by_role("link", name="Sign in").wait_for()
    assert provider.signed_out == ["id-of-bob"]
    here.goto(address)
    here.get_by_role("link", name="Sign in").wait_for()


@contextmanager
def a_page_elsewhere(framed: str, port: int = 0) -> Iterator[str]:
    """The address of a page of another origin, which shows this address in a frame."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            body = (
                f'<!doctype html><h1>A course</h1><iframe src="{framed}" width="1000" height="800"></iframe>'
            )
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_page_that_is_named_shows_a_lesson_and_another_one_does_not(shared, page):
    lesson = lessons()[0]
    framed = f"{shared.url}/dans/lessons?lesson={lesson.name}&step=1&embed=true"
    with a_page_elsewhere(framed, COURSE) as course, a_page_elsewhere(framed) as other:
        page.goto(course)
        inside = page.frame_locator("iframe")
        inside.get_by_label("Access code").fill("hello-class")
        inside.get_by_role("button", name="Come in").click()
        inside.get_by_role("heading", name=lesson.steps[0].title).wait_for()
        # The same browser, which is in, elsewhere: neither the lesson nor the door to it.
        refused = lambda request: request.url.startswith(shared.url)  # noqa: E731
        with page.expect_event("requestfailed", refused) as failed:
            page.goto(other)
        assert failed.value.failure == "net::ERR_BLOCKED_BY_RESPONSE"
        assert page.frames[1].url.startswith("chrome-error:")
