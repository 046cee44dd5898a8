"""A shared server as those find it who come to it: real processes, real HTTP and WebSockets."""

from __future__ import annotations

import base64
import concurrent.futures
import http.client
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from dans_app.server.gate import share_by_environment
from dans_lab import cli
from dans_lab.sharing.settings import current
from tests.browser.server import ROOT, Server, free_port
from tests.nginx import PASSWORD, nginx
from tests.waiting import PATIENCE

CODES = {
    "DANS_VIEWER_CODE": "only-looking",
    "DANS_ACCESS_CODE": "hello-class",
    "DANS_TEACHER_CODE": "hello-teacher",
}
ADDRESSES = ["/", "/map?run=small", "/_stcore/health", "/_stcore/host-config", "/_stcore/metrics", "/media/0.png",
             "/static/js/index.js", "/_stcore/upload_file/a/b", "/component/x/y"]  # fmt: skip

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    "Sec-WebSocket-Protocol": "streamlit",
}
"""Headers by which a browser asks for a WebSocket."""


class Asker:
    """Someone at a browser, as far as HTTP goes: a cookie, and headers of their own."""

    def __init__(self, server: Server, **headers: str) -> None:
        self.port = int(server.url.rsplit(":", 1)[1])
        self.cookie = ""
        self.headers = headers

    def ask(self, path: str, method: str = "GET", form: dict[str, str] | None = None, **headers: str):
        """Status, headers and body of the answer; 101 for a welcomed WebSocket."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = urlencode(form).encode() if form is not None else None
        connection.putrequest(method, path, skip_accept_encoding=True)
        told = {"Cookie": self.cookie} if self.cookie else {}
        if body is not None:
            told |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
        for name, value in {**told, **self.headers, **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body)
        answer = connection.getresponse()
        text = "" if answer.status == 101 else answer.read().decode(errors="replace")
        connection.close()
        return answer.status, answer.headers, text

    def log_in(self, code: str, following: str = "/"):
        """Type this code; the answer."""
        status, headers, text = self.ask("/login", "POST", {"code": code, "next": following})
        if found := headers.get("set-cookie"):
            self.cookie = found.partition(";")[0]
        return status, headers, text

    def websocket(self, path: str = "/_stcore/stream", **headers: str) -> int:
        """Status of the answer to a WebSocket's handshake."""
        return self.ask(path, **HANDSHAKE, **headers)[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a code for each role, which believes a proxy on this machine where a request came from."""
    runs = tmp_path_factory.mktemp("shared") / "runs"
    runs.mkdir()
    options = ("--behind-proxy", "127.0.0.0/24", "--embed-in", "https://moodle.example.org")
    started = Server(runs, serve=options, **CODES)
    yield started
    started.stop()


@pytest.fixture
def asker(server: Server) -> Asker:
    """Someone who has not come yet."""
    return Asker(server)


def test_before_the_code_nothing_is_served(asker):
    for path in ADDRESSES:
        assert asker.ask(path)[0] == 401, path
    assert asker.ask("/_stcore/upload_file/a/b", "PUT", {})[0] == 401
    assert asker.websocket() == 403
    status, _, text = asker.ask("/map?run=x&y=<b>", Accept="text/html")
    assert status == 401 and 'name="next" value="/map?run=x&amp;y=' in text and "<b>" not in text
    for forged in (
        "dans_ticket=",
        "dans_ticket=0123456789abcdef.teacher.99999999999." + "0" * 64,
        "dans_ticket=é",
    ):
        assert asker.ask("/", Cookie=forged)[0] == 401
        assert asker.websocket(Cookie=forged) == 403
    told = {"X_Dans_Role": "teacher", "X_Dans_Visitor": "me", "X_Remote_User": "me"}
    assert asker.websocket(**told) == 403


def test_the_code_opens_the_app_and_logging_out_closes_it(asker):
    status, headers, _ = asker.log_in("  hello-class ", "/map?run=x")
    assert (status, headers["location"]) == (303, "/map?run=x")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie
    assert asker.ask("/_stcore/health")[0] == 200 and asker.websocket() == 101
    assert "student" in asker.ask("/logout")[2]
    status, headers, _ = asker.ask("/logout", "POST")
    assert status == 303 and headers["set-cookie"].startswith('dans_ticket=""')
    # Whoever kept the cookie has nothing of it.
    assert asker.ask("/_stcore/health")[0] == 401 and asker.websocket() == 403


@pytest.mark.parametrize(
    "where", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb", "", "x" * 9]
)
def test_after_the_code_one_stays_here(asker, where):
    assert asker.log_in("hello-class", where)[1]["location"] == "/"


def test_each_role_reaches_what_it_may(server):
    refusal = "Adding files is for students and teachers.\n"
    for code, metrics, is_refused in (
        ("only-looking", 403, True),
        ("hello-class", 403, False),
        ("hello-teacher", 200, False),
    ):
        asker = Asker(server)
        asker.log_in(code)
        assert asker.websocket() == 101
        assert asker.ask("/_stcore/metrics")[0] == metrics, code
        assert (asker.ask("/_stcore/upload_file/a/b", "PUT", {})[2] == refusal) == is_refused, code


def test_a_proxy_tells_that_the_browser_speaks_https(asker):
    cookie = Asker.log_in(asker, "hello-class")[1]["set-cookie"]
    assert "Secure" not in cookie
    asker.headers = {"X_Forwarded_Proto": "https", "X_Forwarded_For": "203.0.113.7"}
    cookie = asker.log_in("hello-class")[1]["set-cookie"]
    # Pages that may embed the app are of other sites.
    assert "Secure" in cookie and "SameSite=none; Secure" in cookie and cookie.endswith("Partitioned")


def test_wrong_codes_are_slowed_by_address(server):
    one, other = (
        Asker(server, X_Forwarded_For="6.6.6.6, 203.0.113.1"),
        Asker(server, X_Forwarded_For="203.0.113.2"),
    )
    said = [one.log_in("wrong-code")[0] for _ in range(2)]
    assert said == [401, 401] and not one.cookie
    with concurrent.futures.ThreadPoolExecutor(12) as many:
        said = list(
            many.map(
                lambda _: Asker(server, X_Forwarded_For="203.0.113.1").log_in("wrong-code")[0], range(12)
            )
        )
    assert set(said) == {401, 429} and said.count(401) <= 9
    # Not even the right one tells them anything now, and what they say of where they come from does not help.
    status, headers, text = one.log_in("hello-class")
    assert status == 429 and 0 < int(headers["retry-after"]) <= 20 and "Too many wrong codes" in text
    assert other.log_in("hello-class")[0] == 303


def test_forms_that_are_none_are_refused(asker):
    assert asker.ask("/login", "POST", {"code": "x" * 300})[0] == 400
    assert asker.ask("/login", "POST", {"code": "x" * 9_000})[0] == 400
    assert asker.ask("/login", "POST", {"nothing": "x"})[0] == 400
    assert asker.ask("/login", "POST", {"code": "hello-class"}, Origin="http://evil.example")[0] == 403


def test_every_answer_has_its_headers(asker):
    answers = [
        asker.ask("/"),
        asker.ask("/", Origin="http://evil.example"),
        asker.ask("/", Accept="text/html"),
    ]
    asker.log_in("hello-teacher")
    answers += [
        asker.ask(path, Accept="text/html") for path in ("/", "/_stcore/health", "/logout", "/none.js")
    ]
    for _, headers, _ in answers:
        policy = headers["content-security-policy"]
        assert policy.endswith("frame-ancestors 'self' https://moodle.example.org")
        assert "object-src 'none'" in policy and "http:" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin"


def test_a_link_from_another_site_is_followed_with_the_cookie(asker):
    words = {"Accept": "text/html", "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": "document"}
    status, _, text = asker.ask("/map", **words)
    assert status == 200 and 'http-equiv="refresh" content="0"' in text and "form" not in text


# --- a proxy that knows who asks ------------------------------------------------------------------------------------


def proxied(folder: Path, trusted: str) -> Server:
    runs = folder / "runs"
    runs.mkdir()
    options = ("--behind-proxy", trusted, "--user-header", "X-Remote-User", "--role-header", "X-Remote-Role",
               "--usual-role", "viewer", "--teacher", "ada", "--server.baseUrlPath", "dans")  # fmt: skip
    return Server(runs, serve=options)


@pytest.fixture(scope="module")
def believing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server below a path that believes what comes from this machine of who asks."""
    started = proxied(tmp_path_factory.mktemp("believing"), "127.0.0.1")
    yield started
    started.stop()


def test_a_proxy_says_who_asks(believing):
    for headers, role in (
        ({"X_Remote_User": "ada"}, "teacher"),
        ({"X_Remote_User": "bob"}, "viewer"),
        ({"X_Remote_User": "bob", "X_Remote_Role": "student"}, "student"),
        ({"X_Remote_User": "bob", "X_Remote_Role": "root"}, "viewer"),
    ):
        asker = Asker(believing, **headers)
        assert asker.websocket("/dans/_stcore/stream") == 101
        assert f"<strong>{role}</strong>" in asker.ask("/dans/logout")[2]
    nobody = Asker(believing)
    assert nobody.ask("/dans/")[0] == 403 and nobody.websocket("/dans/_stcore/stream") == 403
    assert nobody.ask("/dans/login", "POST", {"code": ""})[0] == 403


def test_behind_nginx_it_is_nginx_alone_that_says_who_asks(believing, tmp_path):
    port = free_port()
    with nginx(tmp_path / "nginx", port, int(believing.url.rsplit(":", 1)[1]), asks_who=True) as certificate:
        secure = ssl.create_default_context(cafile=str(certificate))

        def asked(path: str, user: str = "", **headers: str) -> tuple[int, str]:
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=secure)
            told = {"Authorization": f"Basic {base64.b64encode(f'{user}:{PASSWORD}'.encode()).decode()}"}
            connection.request("GET", path, headers={**(told if user else {}), **headers})
            answer = connection.getresponse()
            text = "" if answer.status == 101 else answer.read().decode()
            connection.close()
            return answer.status, text

        for user, role in (("ada", "teacher"), ("bob", "viewer")):
            forged = {
                "X-Remote-User": "ada",
                "X_Remote_User": "ada",
                "X-Remote-Role": "teacher",
                "X-Dans-Role": "teacher",
            }
            for headers in ({}, forged):
                status, text = asked("/dans/logout", user, **headers)
                assert status == 200 and f"<strong>{role}</strong>" in text
            assert asked("/dans/_stcore/stream", user, **HANDSHAKE)[0] == 101
        assert asked("/dans/", **{"X-Remote-User": "ada"})[0] == 401
        assert asked("/dans/_stcore/stream", **HANDSHAKE, **{"X-Remote-User": "ada"})[0] == 401


def test_whoever_comes_from_elsewhere_is_not_believed(tmp_path):
    server = proxied(tmp_path, "192.0.2.7, 2001:db8::/32")
    try:
        forged = Asker(server, X_Remote_User="ada", X_Forwarded_For="192.0.2.7", X_Remote_Role="teacher")
        status, _, text = forged.ask("/dans/")
        assert status == 403 and "reached through its proxy alone" in text
        assert forged.websocket("/dans/_stcore/stream") == 403
    finally:
        server.stop()


# --- what does not start --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, said",
    [
        (["--address", "0.0.0.0"], "whoever reaches 0.0.0.0 could train"),
        (["--behind-proxy", "127.0.0.1"], "--behind-proxy with --user-header"),
        (["--user-header", "X-User"], "name them by --behind-proxy"),
        (["--behind-proxy", "nginx"], "no address of a proxy"),
        (["--access-code-file", "none"], "none cannot be read"),
        (["--embed-in", "moodle'"], "expected an origin"),
        (["--usual-role", "boss"], "expected viewer, student or teacher"),
        (["--role-header", "X Role", "--user-header", "X-User"], "expected the name of a header"),
    ],
)
def test_an_open_house_does_not_start(options, said, capsys):
    assert cli.main(["serve", *options]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and said in line and len(line) < 300


def test_by_streamlit_alone_it_starts_where_the_environment_has_a_code(tmp_path):
    """As hosts do it that run app.py themselves."""
    runs = tmp_path / "runs"
    runs.mkdir()
    hosted = {"STREAMLIT_SERVER_ADDRESS": "0.0.0.0", "STREAMLIT_SERVER_ALLOWED_HOSTS": "lab.example.org"}
    server = Server(runs, DANS_ACCESS_CODE="hello-class", DANS_LIMITS="upload_megabytes=3", **hosted)
    try:
        asker = Asker(server)
        asked = http.client.HTTPConnection("127.0.0.1", asker.port, timeout=60)
        for name, status in (("lab.example.org", 401), ("elsewhere.example.org", 421)):
            asked.request("GET", "/", headers={"Host": name})
            answer = asked.getresponse()
            answer.read()
            assert answer.status == status, name
        assert asker.websocket() == 403
        # Beside its names its own address is answered.
        assert asker.log_in("hello-class")[0] == 303 and asker.websocket() == 101
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"DANS_ACCESS_CODE": "short"}, "the variable DANS_ACCESS_CODE has to hold one access code"),
        (
            {"DANS_ACCESS_CODE": "hello-class", "DANS_LIMITS": "epochs=many"},
            'the limit "epochs=many" is none',
        ),
    ],
)
def test_what_is_no_code_or_limit_there_is_one_sentence(monkeypatch, capsys, given, said):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        share_by_environment()
    [line] = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2 and line.startswith("error: ") and said in line and current() is None
    assert "DANS_ACCESS_CODE" not in os.environ


def test_nor_does_it_by_streamlit_alone():
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true"]
    done = subprocess.run(
        [*command, "--server.address", "0.0.0.0", "--browser.serverAddress=localhost"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    # Above it Streamlit may say what it does without a server.
    line = done.stderr.splitlines()[-1]
    assert (
        done.returncode == 2
        and "Traceback" not in done.stderr
        and line.startswith("error: the app would listen at 0.0.0.0")
    )
