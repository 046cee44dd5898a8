"""Downloads, from a real server on this machine that behaves well and badly."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dans_data import SPLITS, available, fetch, load, places
from dans_data.catalogue import CATALOGUE, File, Known, sorted_lines_sha256
from dans_data.errors import InputError
from dans_data.words import megabytes
from dans_lab.cli import main
from dans_lab.cli.download import bring
from tests.real_data import needs_data, real_folder
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    split: "".join(f"e{i}\tr{i % 3}\te{(i * 7 + n) % 90}\n" for i in range(4000)).encode()
    for n, split in enumerate(SPLITS)
}


class Server(ThreadingHTTPServer):
    """Serves `files` by path; `answers` maps a path to what it does instead, the first of its list each time."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {f"/{split}.txt": data for split, data in FILES.items()}
        self.answers: dict[str, list[Callable[[Handler, bytes], None]]] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        data = self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
        elif answers := self.server.answers.get(self.path):
            answers.pop(0)(self, data)
        else:
            self.send(data, len(data))

    def send(self, data: bytes, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def breaks_off(handler: Handler, data: bytes) -> None:
    handler.send(data[: len(data) // 2], len(data))
    handler.close_connection = True


def breaks_off_at_once(handler: Handler, data: bytes) -> None:
    handler.send(b"", len(data))
    handler.close_connection = True


def fails(code: int) -> Callable[[Handler, bytes], None]:
    return lambda handler, data: handler.send_error(code)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DANS_DATA_DIR", raising=False)
    monkeypatch.delenv("DANS_MIRROR", raising=False)
    monkeypatch.setenv("DANS_CACHE_DIR", str(tmp_path / "cache"))
    # The proxy of whoever runs the tests does not know this server.
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetch, "_WAITS", (0.01, 0.02))
    return tmp_path / "cache"


def catalogue(url: str) -> dict[str, Known]:
    files = {
        split: File(hashlib.sha256(data).hexdigest(), len(data), f"{url}/{split}.txt")
        for split, data in FILES.items()
    }
    return {"tiny": Known("Tiny", "", "", "", (), 90, 3, 4000, 4000, 4000, files)}


def refusal(known: dict[str, Known]) -> str:
    with pytest.raises(InputError) as caught:
        fetch.fetch("tiny", catalogue=known)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def left_in(cache: Path) -> list[str]:
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.suffix != ".lock")


WHOLE = ["downloaded", "downloaded/tiny", *sorted(f"downloaded/tiny/{split}.txt" for split in SPLITS)]


def test_a_good_download_is_kept_and_not_repeated(server: Server, cache: Path) -> None:
    told: list[tuple[int, int]] = []
    folder = fetch.fetch("tiny", lambda came, total: told.append((came, total)), catalogue(server.url))
    assert {split: (folder / f"{split}.txt").read_bytes() for split in SPLITS} == FILES
    assert left_in(cache) == WHOLE
    total = sum(map(len, FILES.values()))
    assert told == sorted(told) and told[0] == (0, total) and told[-1] == (total, total)
    assert len({came for came, _ in told}) > len(SPLITS)
    assert server.asked == [f"/{split}.txt" for split in SPLITS]
    assert fetch.fetch("tiny", catalogue=catalogue(server.url)) == folder
    assert len(server.asked) == 3


def test_a_known_set_of_lines_is_right_in_any_order(server: Server) -> None:
    known = catalogue(server.url)
    train = known["tiny"].files["train"]
    lines = FILES["train"].decode().splitlines()
    known["tiny"].files["train"] = File("0" * 64, train.size, train.url, sorted_lines_sha256(FILES["train"]))
    server.files["/train.txt"] = "\r\n".join(reversed(lines)).encode()
    folder = fetch.fetch("tiny", catalogue=known)
    assert sorted((folder / "train.txt").read_text().split()) == sorted(FILES["train"].decode().split())
    server.files["/train.txt"] = "\n".join(lines[1:]).encode()
    (folder / "train.txt").unlink()
    assert "checksum" in refusal(known)


@pytest.mark.parametrize("how", [breaks_off, breaks_off_at_once, fails(500), fails(503), fails(429)])
def test_what_may_pass_is_tried_again(server: Server, cache: Path, how: Callable) -> None:
    server.answers["/valid.txt"] = [how, how]
    fetch.fetch("tiny", catalogue=catalogue(server.url))
    assert left_in(cache) == WHOLE
    assert server.asked.count("/valid.txt") == 3


BAD: dict[str, tuple[Callable, str, int]] = {
    "broken off": (breaks_off, "broke off in the middle of test.txt; try again", 3),
    "broken off early": (breaks_off_at_once, "broke off in the middle of test.txt; try again", 3),
    "server error": (fails(500), "/test.txt answered 500 Internal Server Error; try again later", 3),
    "gone": (fails(404), "/test.txt answered 404 Not Found; the file is not there any more", 1),
    "forbidden": (fails(403), "/test.txt answered 403 Forbidden", 1),
    "another file": (lambda h, d: h.send(d[::-1], len(d)), "not the expected file (its checksum differs)", 1),
    "a page instead": (lambda h, d: h.send(b"<html>", 6), "not the expected file (its checksum differs)", 1),
    "no length, cut": (
        lambda h, d: (h.send_response(200), h.end_headers(), h.wfile.write(d[:-9])),
        "checksum",
        1,
    ),
    "far too long": (lambda h, d: h.send(d * 9, len(d) * 9), "far longer than the expected file", 1),
}


@pytest.mark.parametrize("case", BAD)
def test_nothing_is_kept_of_a_bad_download(server: Server, cache: Path, case: str) -> None:
    how, words, tries = BAD[case]
    server.answers["/test.txt"] = [how] * 5
    sentence = refusal(catalogue(server.url))
    assert sentence.startswith("tiny was not downloaded: ") and words in sentence
    assert server.asked.count("/test.txt") == tries
    assert left_in(cache) == ["downloaded"]
    server.answers.clear()
    fetch.fetch("tiny", catalogue=catalogue(server.url))
    assert left_in(cache) == WHOLE


def test_no_network(cache: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert "cannot be reached; check the network, or let DANS_DATA_DIR name a folder" in refusal(
            catalogue(url)
        )
    assert left_in(cache) == ["downloaded"]


def test_what_progress_raises_ends_it(server: Server, cache: Path) -> None:
    def stop(came: int, total: int) -> None:
        if came > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch.fetch("tiny", stop, catalogue(server.url))
    assert left_in(cache) == ["downloaded"]


def test_a_cache_that_cannot_be_written(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write_text("a file where the folder would be")
    assert "cannot be written (Not a directory); let DANS_CACHE_DIR name" in refusal(catalogue(server.url))
    monkeypatch.setenv("DANS_CACHE_DIR", "/proc/dans")
    assert "/proc/dans/downloaded cannot be written (" in refusal(catalogue(server.url))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_cache(server: Server, cache: Path) -> None:
    cache.mkdir(mode=0o500)
    assert "cannot be written (Permission denied)" in refusal(catalogue(server.url))


# A process of its own, to be killed or to have less room than it needs.
FETCH = """
import sys
from tests.data.test_fetch import catalogue
from dans_data import fetch
from dans_data.errors import InputError
try:
    print(fetch.fetch("tiny", catalogue=catalogue(sys.argv[1])))
except InputError as error:
    sys.exit(str(error))
"""


def process(url: str, before: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", before + FETCH, url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_no_room(server: Server, cache: Path) -> None:
    # A file may not grow over 50,000 bytes, as on a disk that is nearly full.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
    _, said = process(server.url, limit).communicate(timeout=PATIENCE)
    assert f"no room is left in {cache / 'downloaded'}; free some" in said and "Traceback" not in said
    assert left_in(cache) == ["downloaded"]


@pytest.mark.kill
def test_killed_in_the_middle_and_good_the_next_time(server: Server, cache: Path) -> None:
    reached = threading.Event()

    def stalls(handler: Handler, data: bytes) -> None:
        handler.send(data[: len(data) // 2], len(data))
        handler.wfile.flush()
        reached.set()
        time.sleep(60)

    server.answers["/valid.txt"] = [stalls]
    victim = process(server.url)
    assert reached.wait(PATIENCE)
    victim.send_signal(signal.SIGKILL)
    victim.communicate(timeout=PATIENCE)
    assert not (cache / "downloaded" / "tiny").exists()
    assert any(".partial-" in name for name in left_in(cache))
    fetch.fetch("tiny", catalogue=catalogue(server.url))
    assert left_in(cache) == WHOLE


def test_two_at_once_download_once(server: Server, cache: Path) -> None:
    both = [process(server.url) for _ in range(2)]
    ended = [one.communicate(timeout=PATIENCE) for one in both]
    assert [one.returncode for one in both] == [0, 0], ended
    assert ended[0][0] == ended[1][0]
    assert sorted(server.asked) == sorted(f"/{split}.txt" for split in SPLITS)
    assert left_in(cache) == WHOLE


def test_unknown_name() -> None:
    with pytest.raises(InputError, match='did you mean "wn18rr"'):
        fetch.fetch("wn18r")
    assert fetch.fetch("umls") == places.BUNDLED / "umls"


@pytest.mark.parametrize("mirror", ["ftp://me:secret@x", "me:secret@x", "https://me:secret@127.0.0.1:9"])
def test_the_password_of_a_mirror_is_never_told(monkeypatch: pytest.MonkeyPatch, mirror: str) -> None:
    monkeypatch.setenv("DANS_MIRROR", mirror)
    with pytest.raises(InputError) as told:
        fetch.fetch("wn18rr")
    assert "secret" not in str(told.value) and "me:" not in str(told.value)


@pytest.mark.parametrize("mirror", ["ftp://x", "somewhere", "/tmp"])
def test_a_bad_mirror(monkeypatch: pytest.MonkeyPatch, mirror: str) -> None:
    monkeypatch.setenv("DANS_MIRROR", mirror)
    with pytest.raises(InputError, match=f'DANS_MIRROR is "{mirror}"; expected an address'):
        load("wn18rr")


def test_addresses_are_pinned() -> None:
    for name in ("wn18rr", "nell-995"):
        for file in CATALOGUE[name].files.values():
            host, owner, repository, commit, *_ = file.url.removeprefix("https://").split("/")
            assert host == "raw.githubusercontent.com" and owner and repository
            assert len(bytes.fromhex(commit)) == 20 and len(bytes.fromhex(file.sha256)) == 32


@pytest.mark.parametrize("name", [pytest.param(n, marks=needs_data(n)) for n in ("wn18rr", "nell-995")])
def test_by_its_name_from_a_mirror(
    server: Server,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    """The real files, by the real paths of their addresses."""
    original = real_folder(name)
    assert original is not None
    for split, file in CATALOGUE[name].files.items():
        path = "/" + file.url.split("/", 3)[3]
        server.files[path] = (original / f"{split}.txt").read_bytes()
    if name == "nell-995":
        train = "/" + CATALOGUE[name].files["train"].url.split("/", 3)[3]
        server.files[train] = b"".join(reversed(server.files[train].splitlines(keepends=True)))
    monkeypatch.setenv("DANS_MIRROR", server.url)
    info = {info.name: info for info in available()}[name]
    assert (info.where, info.here, info.train) == ("download", False, CATALOGUE[name].train)
    bring(name)
    assert capsys.readouterr().err == f"downloading {name} ({megabytes(CATALOGUE[name].bytes)})\n"
    bring(name)
    assert main(["datasets", "--download", name]) == 0
    assert f"downloaded {name}: {cache}" in capsys.readouterr().out
    found = load(name)
    assert len(found.splits["train"]) == CATALOGUE[name].train
    info = {info.name: info for info in available()}[name]
    assert (info.where, info.here, info.path) == ("downloaded", True, cache / "downloaded" / name)
    assert info.train == CATALOGUE[name].train and info.facts
    assert len(server.asked) == 3
