"""The gate of the server: which Host and Origin it answers, in the order in which a page of another site would try."""

from __future__ import annotations

import base64
import http.client
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit import config

from dans_app.server.gate import NOT_SHARED, WRONG_HOST, WRONG_ORIGIN, refusal
from dans_lab.sharing.codes import Code
from dans_lab.sharing.settings import Sharing, share
from tests.browser.server import Server

ADDRESSES = ["/", "/map", "/_stcore/health", "/_stcore/upload_file/a/b", "/media/0123.png", "/static/none.js"]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of `streamlit run app.py`."""
    runs = tmp_path_factory.mktemp("gate") / "runs"
    runs.mkdir()
    server = Server(runs)
    yield int(server.url.rsplit(":", 1)[1])
    server.stop()


def asked(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Status and body of the answer; headers are spelled with _ for -."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    upgraded = answer.status == 101
    body = "" if upgraded else answer.read().decode()
    connection.close()
    return answer.status, body


def websocket(port: int, host: str, origin: str | None) -> int:
    """Status of the answer to a WebSocket's handshake; 101 is a welcome."""
    headers = {
        "Host": host,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec_WebSocket_Protocol": "streamlit",
    }
    return asked(port, "/_stcore/stream", **headers, **({"Origin": origin} if origin else {}))[0]


@pytest.mark.parametrize("path", ADDRESSES)
def test_another_name_for_this_machine_gets_one_sentence(port, path):
    for host in (
        "rebound.example",
        f"rebound.example:{port}",
        f"localhost.rebound.example:{port}",
        "10.1.2.3",
        "",
    ):
        assert asked(port, path, Host=host) == (421, WRONG_HOST), host
    assert asked(port, path, Host=f"localhost:{port}")[1] not in (WRONG_HOST, WRONG_ORIGIN)


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "OPTIONS"])
def test_a_page_elsewhere_gets_no_answer(port, method):
    for origin in ("http://rebound.example", f"http://localhost:{port + 1}", "http://localhost", "null"):
        answer = asked(port, "/_stcore/upload_file/a/b", method, Host=f"localhost:{port}", Origin=origin)
        assert answer == (403, WRONG_ORIGIN), origin


def test_a_websocket_is_refused_before_it_is_accepted(port):
    rebound = f"rebound.example:{port}"
    assert websocket(port, rebound, f"http://{rebound}") == 403
    assert websocket(port, rebound, None) == 403
    for origin in (
        f"http://{rebound}",
        f"http://localhost:{port + 1}",
        f"http://127.0.0.1:{port + 1}",
        "null",
    ):
        assert websocket(port, f"localhost:{port}", origin) == 403, origin
        assert websocket(port, f"127.0.0.1:{port}", origin) == 403, origin


def test_its_own_pages_are_answered(port):
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert websocket(port, host, f"http://{host}") == 101
        assert asked(port, "/_stcore/health", Host=host, Origin=f"http://{host}") == (200, "ok")
    # A forwarded port, as of SSH, has the number of the other end.
    assert websocket(port, "localhost:9000", "http://localhost:9000") == 101


def scope(host: str | list[str], origin: str | None = None, server: str = "127.0.0.1") -> dict[str, object]:
    """An ASGI scope with these headers."""
    hosts = [host] if isinstance(host, str) else host
    headers = [(b"host", name.encode("latin-1")) for name in hosts]
    return {
        "type": "http",
        "server": (server, 8501),
        "headers": [*headers, *([(b"origin", origin.encode())] if origin else [])],
    }


@pytest.fixture
def option() -> Iterator[object]:
    """Set an option of Streamlit for one test."""
    before: dict[str, object] = {}

    def put(name: str, value: object) -> None:
        before.setdefault(name, config.get_option(name))
        config.set_option(name, value)

    yield put
    for name, value in before.items():
        config.set_option(name, value)


def test_names_that_are_configured_are_answered(option):
    assert refusal(scope("lab.example.org")) == WRONG_HOST
    option("server.allowedHosts", ["lab.example.org", "*.rooms.example"])
    option("browser.serverAddress", "dans.example")
    for name in ("lab.example.org", "LAB.example.org:8501", "a.rooms.example", "dans.example:80"):
        assert refusal(scope(name, f"https://{name}")) is None
    for name in ("lab.example.org.evil", "rooms.example", "arooms.example", "xlab.example.org"):
        assert refusal(scope(name)) == WRONG_HOST


def test_an_origin_that_is_configured_is_answered(option):
    option("server.corsAllowedOrigins", ["https://lab.example.org"])
    assert refusal(scope("127.0.0.1:8501", "https://lab.example.org")) is None
    assert refusal(scope("127.0.0.1:8501", "http://lab.example.org")) == WRONG_ORIGIN


@pytest.fixture
def shared() -> Iterator[None]:
    """As where the server asks who comes."""
    share(Sharing(codes={"student": Code.of("hello-class")}))
    yield
    share(None)


def test_the_network_is_answered_by_a_shared_server_alone():
    assert refusal(scope("192.168.1.5:8501", server="192.168.1.5")) == NOT_SHARED
    assert refusal(scope("localhost:8501", server="192.168.1.5")) == NOT_SHARED
    assert refusal(scope("localhost:8501", server="::ffff:127.0.0.1")) is None


def test_the_address_that_a_request_came_in_on_is_answered(shared):
    assert refusal(scope("192.168.1.5:8501", "http://192.168.1.5:8501", server="192.168.1.5")) is None
    assert refusal(scope("192.168.1.5", server="::ffff:192.168.1.5")) is None
    assert refusal(scope("192.168.1.6", server="192.168.1.5")) == WRONG_HOST


@pytest.mark.parametrize(
    "host",
    [[], ["localhost", "localhost"], "", ":8501", "a@localhost", "localhost/x", "localhost:", "localhost:x",
     "[::1", "\xe4", "localhost\t", "localhost.evil", "0.0.0.0", "[::]", "127.0.0.1.evil", "2130706433", "*"],
)  # fmt: skip
def test_what_is_no_host_is_refused(host):
    assert refusal(scope(host)) == WRONG_HOST


def test_the_command_finds_the_gate():
    from streamlit.web.server.app_discovery import discover_asgi_app

    found = discover_asgi_app(Path(__file__).parents[2] / "app.py")
    assert found.import_string == "app:app"
