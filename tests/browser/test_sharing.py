"""A class on a shared server, in real browsers: coming in, a run, the limit, the queue, and what is another's."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, Request, expect
from requests.adapters import HTTPAdapter

import dans_data
from dans_lab.lessons.files import lessons
from tests.browser.conftest import _end_processes
from tests.browser.server import Server, free_port, processes
from tests.browser.states import at_rest, is_calm, open_dialog
from tests.nginx import NAME, nginx
from tests.provider import Provider
from tests.waiting import wait_for

pytestmark = pytest.mark.browser

FORM = "dataset=nations&sampler=uniform&decoder=distmult&epochs=50000"
COURSE = free_port()
"""Where the page of a course is, which may embed the app."""

FRONT = free_port()
"""Where nginx stands in front of the server."""

LIMITS = "runs=1 runs_each=1 epochs=50000 minutes=600"


@pytest.fixture(scope="module")
def shared(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A shared server below a path, on which one run trains at a time; by a code, or by signing in through nginx."""
    folder = tmp_path_factory.mktemp("shared")
    runs, file = folder / "runs", folder / "oidc.toml"
    runs.mkdir()
    file.write_text(provider.settings(f"https://127.0.0.1:{FRONT}/dans"))
    options = ("--limits", LIMITS, "--oidc-file", str(file), "--embed-in", f"http://127.0.0.1:{COURSE}",
               "--behind-proxy", "127.0.0.1", "--name", NAME)  # fmt: skip
    started = Server(runs, serve=options, DANS_ACCESS_CODE="hello-class", DANS_OWN_DIR=str(folder / "own"))
    yield started
    started.stop()
    _end_processes(runs)


@dataclass(frozen=True)
class Front:
    """Where the server is reached through nginx, and the certificate to trust there."""

    url: str
    certificate: Path

    def session(self, address: str) -> requests.Session:
        """Someone who comes from this address of this machine."""

        class From(HTTPAdapter):
            def init_poolmanager(self, *given: int, **more: object) -> None:
                super().init_poolmanager(*given, **more, source_address=(address, 0))

        session = requests.Session()
        session.mount("https://", From())
        session.verify = str(self.certificate)
        # A variable may name other certificates.
        session.trust_env = False
        return session


@pytest.fixture(scope="module")
def front(shared: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The server behind nginx, which speaks HTTPS."""
    folder = tmp_path_factory.mktemp("front") / "nginx"
    with nginx(folder, FRONT, int(shared.url.rsplit(":", 1)[1])) as certificate:
        yield Front(f"https://127.0.0.1:{FRONT}/dans/", certificate)


@pytest.fixture
def secure_page(open_page) -> Callable[[], Page]:
    """Open a page that trusts the certificate of nginx."""
    return lambda: open_page(ignore_https_errors=True)


def comes_in(page: Page, address: str) -> None:
    """Type the code, and see what the address shows."""
    page.goto(address)
    page.get_by_label("Access code").fill("hello-class")
    page.get_by_role("button", name="Come in").click()
    page.get_by_role("button", name="Start training").wait_for()
    at_rest(page)
    assert page.url.startswith(address.partition("?")[0])


def test_a_shared_server_has_the_process_with_torch_before_anyone_comes(shared):
    wait_for(lambda: bool(processes("dans_app.server.inspecting", shared.runs)), "the process that has torch")


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


def test_a_run_is_of_the_person_who_signed_in(front, provider, secure_page):
    address = front.url
    here, elsewhere, other = secure_page(), secure_page(), secure_page()
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

    # What was opened would close as the run's end is drawn behind it.
    here.get_by_text("Stopped at epoch").first.wait_for()
    at_rest(here)
    leave = here.get_by_role("link", name="Log out on this computer")
    open_dialog(here.get_by_role("button", name="Log out"), leave)
    leave.click()
    here.get_by_role("button", name="Log out").click()
    here.get_by_role("link", name="Sign in").wait_for()
    assert provider.signed_out == ["id-of-bob"]
    here.goto(address)
    here.get_by_role("link", name="Sign in").wait_for()


def a_large_graph() -> bytes:
    """Nations with names so long that the file is larger than what nginx lets through by itself."""
    facts = dans_data.load("nations").splits["train"]
    far = {name: f"{name} {'and so on ' * 35}".strip() for head, _, tail in facts for name in (head, tail)}
    text = "".join(f"{far[head]}\t{relation}\t{far[tail]}\n" for head, relation, tail in facts).encode()
    assert len(text) > 1_100_000
    return text


def test_behind_nginx_a_graph_is_brought_along_and_its_curve_moves(front, shared, secure_page):
    page = secure_page()
    comes_in(page, f"{front.url}?{FORM}")
    page.get_by_role("link", name="Data").click()
    file = {"name": "mine.tsv", "mimeType": "text/plain", "buffer": a_large_graph()}
    page.locator("input[type=file]").set_input_files([file])
    page.get_by_role("button", name="Keep this data set").click()
    page.get_by_text("is kept. It is shown above").first.wait_for()
    page.get_by_role("button", name="Train on it").click()
    page.wait_for_url(re.compile("dataset=mine"))
    page.get_by_role("button", name="Start training").click()
    page.get_by_text("of 50,000").first.wait_for()
    line = page.locator("svg.plot path.line").first
    first = line.get_attribute("d")
    page.wait_for_function(
        "first => document.querySelector('svg.plot path.line')?.getAttribute('d') !== first", arg=first
    )
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped at epoch").first.wait_for()
    assert page.url.startswith(front.url)
    is_calm(page)
    assert "Traceback" not in shared.log()


def test_nginx_says_from_where_and_how_someone_comes(front):
    """By the address at which they are, and not by what they write themselves."""
    login = f"{front.url}login"
    one = front.session("127.0.0.2")
    answer = one.post(login, {"code": "hello-class"}, headers={"Host": NAME}, allow_redirects=False)
    assert answer.status_code == 303 and "Secure" in answer.headers["set-cookie"]
    assert one.post(login, headers={"Host": "elsewhere.example"}).status_code == 421
    assert one.get(front.url[:-1], allow_redirects=False).headers["location"] == front.url

    def guess(number: int) -> int:
        told = {"X-Forwarded-For": f"203.0.113.{number}"}
        return front.session("127.0.0.2").post(login, {"code": "wrong-code"}, headers=told).status_code

    with ThreadPoolExecutor(12) as many:
        assert set(many.map(guess, range(12))) == {401, 429}


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
        # What the page that is left was still asking for fails as well, in another way.
        def refused(request: Request) -> bool:
            return request.url.startswith(shared.url) and request.failure == "net::ERR_BLOCKED_BY_RESPONSE"

        with page.expect_event("requestfailed", refused):
            page.goto(other)
        assert page.frames[1].url.startswith("chrome-error:")
