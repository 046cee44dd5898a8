"""The Dockerfile without an engine: what it copies builds the package, its command serves, its health check sees it."""

from __future__ import annotations

import fnmatch
import http.client
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import zipfile

import pytest

from tests.small_run import ROOT
from tests.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.long


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Dockerfile and what it is given, in order; lines that go on are joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def of(kind: str) -> list[str]:
    return [given for name, given in instructions() if name == kind]


def copied() -> list[str]:
    """What is copied from the folder of the sources."""
    return [source for given in of("COPY") if not given.startswith("--from") for source in given.split()[:-1]]


def let_through() -> set[str]:
    """What .dockerignore lets an engine see, at the top of the sources."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    seen = set()
    for path in ROOT.iterdir():
        hidden = False
        for rule in rules:
            if fnmatch.fnmatch(path.name, rule.removeprefix("!")):
                hidden = not rule.startswith("!")
        if not hidden:
            seen.add(path.name)
    return seen


def test_it_copies_what_is_there_and_let_through_and_no_more():
    assert set(copied()) == let_through()
    assert all((ROOT / source).exists() for source in copied())


def test_its_shell_lines_are_sound():
    for line in of("RUN"):
        subprocess.run(["sh", "-n", "-c", line], check=True)


def test_it_is_not_root_and_keeps_what_is_to_stay():
    order = [name for name, _ in instructions()]
    user = of("USER")
    assert user == ["dans"] and order.index("USER") < order.index("CMD")
    (made,) = [line for line in of("RUN") if line.startswith("useradd")]
    assert re.search(r"--uid 10001 dans && mkdir /data && chown dans /data$", " ".join(made.split()))
    assert of("VOLUME") == ["/data"] and all(value.startswith("/data/") for value in settings().values())


def settings() -> dict[str, str]:
    """The variables that it sets."""
    return dict(pair.split("=", maxsplit=1) for given in of("ENV") for pair in given.split())


def test_what_it_copies_is_what_the_package_is_built_of(tmp_path):
    """Its own line, with hatchling of here in place of one from a registry."""
    source = tmp_path / "source"
    source.mkdir()
    for name in copied():
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "pictures")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source / name)
    (line,) = [line for line in of("RUN") if line.startswith("pip wheel")]
    wheel = tmp_path / "wheel"
    line = line.replace("pip ", f"{sys.executable} -m pip ").replace(
        "/wheel ", f"{wheel} --no-build-isolation "
    )
    subprocess.run(["sh", "-c", line], cwd=source, check=True, capture_output=True)
    (built,) = wheel.glob("*.whl")
    with zipfile.ZipFile(built) as packed:
        names = set(packed.namelist())
    for folder in ("dans_data", "dans_core", "dans_lab", "dans_app"):
        wanted = [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
        assert {str(path.relative_to(ROOT)) for path in wanted} <= names
    assert {f"dans_data/shipped/pages/{page.name}" for page in (ROOT / "pages").glob("*.py")} <= names


def status(port: int, host: str) -> int:
    """Of the first page, asked for under this name."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/", headers={"Host": host})
    found = connection.getresponse().status
    connection.close()
    return found


def test_its_command_serves_who_has_the_code_and_its_look_sees_that(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    here = {name: value.replace("/data", str(tmp_path)) for name, value in settings().items()}
    given = {"DANS_ACCESS_CODE": secrets.token_hex(8), "DANS_SERVER_NAME": "lab.example.org dans.example.org"}
    environment = {**os.environ, **here, **given, "PYTHONPATH": str(ROOT)}
    program, *command = [part.replace("/data", str(tmp_path)) for part in json.loads(of("CMD")[0])]
    assert program == "dans"
    look = json.loads(of("HEALTHCHECK")[0].partition("CMD ")[2])
    look = [sys.executable, *(part.replace("8501", str(port)) for part in look[1:])]

    def is_well() -> bool:
        return subprocess.run(look, capture_output=True).returncode == 0

    assert of("EXPOSE") == ["8501"] and not is_well()
    with (tmp_path / "said.txt").open("wb") as said:
        server = subprocess.Popen(
            [sys.executable, "-m", "dans_core", *command, "--port", str(port)],
            cwd=tmp_path,
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: server.poll() is not None or is_well(), "a sign of life")
        assert server.poll() is None, (tmp_path / "said.txt").read_text()
        assert (tmp_path / "server.key").stat().st_mode & 0o077 == 0
        # Under its names one is asked for the code, under others not even that.
        names = ("lab.example.org", "dans.example.org", "elsewhere.example.org")
        assert [status(port, name) for name in names] == [401, 401, 421]
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE)


def test_without_a_code_its_command_says_what_is_missing(tmp_path):
    command = [part.replace("/data", str(tmp_path)) for part in json.loads(of("CMD")[0])[1:]]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_CODE")}
    done = subprocess.run(
        [sys.executable, "-m", "dans_core", *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "--access-code-file" in done.stderr
