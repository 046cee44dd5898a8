"""The wheel in environments of its own, by pip, uvx and pipx: from nothing to a model of one's own, and the app."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.browser.server import DRAWN
from tests.browser.states import at_rest, is_calm
from tests.small_run import ROOT
from tests.waiting import PATIENCE, wait_for

# Each environment gets torch and all else anew.
pytestmark = pytest.mark.slow

UV, PIPX = "uv==0.13.8", "pipx==1.18.4"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """For environments and caches, some GB, which do not stay."""
    with tempfile.TemporaryDirectory(prefix="dans-installed-") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    """What a newcomer's shell has: nothing of this checkout, its environment and its tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DANS_", "PYTHON", "PYTEST", "STREAMLIT_", "VIRTUAL_ENV"))
    }
    own = {
        "UV_CACHE_DIR": str(folder / "uv"),
        "UV_PYTHON_DOWNLOADS": "never",
        "PIPX_HOME": str(folder / "pipx"),
        "DANS_CACHE_DIR": str(folder / "cache"),
        "DANS_OWN_DIR": str(folder / "own"),
        "DANS_DEVICE": "cpu",
    }
    # What this machine tells pip of where packages lie, uv has to be told in words of its own.
    told = {
        "PIP_FIND_LINKS": "UV_FIND_LINKS",
        "PIP_CERT": "SSL_CERT_FILE",
        "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    }
    return kept | own | {theirs: kept[name] for name, theirs in told.items() if name in kept}


@pytest.fixture(scope="module")
def wheel(folder: Path, environment: dict[str, str]) -> Path:
    """Built as `pip install .` does it: by a hatchling of its own."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder / "wheel", ROOT]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    (built,) = (folder / "wheel").glob("*.whl")
    return built


def installed(place: Path, environment: dict[str, str], *packages: str | Path) -> Path:
    """Where the commands of a fresh environment with these packages are."""
    venv.create(place, with_pip=True)
    command = [place / "bin" / "python", "-m", "pip", "install", "-q", *packages]
    subprocess.run(command, cwd=place, env=environment, check=True)
    return place / "bin"


@pytest.fixture(scope="module", params=["pip", "uvx", "pipx"])
def dans(request, folder, environment, wheel) -> list[str | Path]:
    """The command `dans`, as each way of installing has it."""
    if request.param == "pip":
        return [installed(folder / "environment", environment, wheel) / "dans"]
    tools = folder / "tools"
    if not tools.exists():
        installed(tools, environment, UV, PIPX)
    python = ["--python", sys.executable]
    if request.param == "uvx":
        return [tools / "bin" / "uvx", *python, "--from", wheel, "dans"]
    return [tools / "bin" / "pipx", "run", *python, "--spec", wheel, "dans"]


def test_from_nothing_to_a_model_that_is_given_away(dans, environment, tmp_path):
    def told(*arguments: str | Path) -> str:
        done = subprocess.run(
            [*dans, *arguments], cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    asked = ["--triplets", "asked.tsv", "--json"]
    told("train", "--dataset", "umls", "--epochs", "20", "--out", "first")
    worth = json.loads(told("evaluate", "first", "--json"))
    told("export", "first", "--to", "model")
    shutil.copy(tmp_path / "model" / "triplets" / "test.txt", tmp_path / "asked.tsv")
    ranks = [row["rank"] for row in json.loads(told("predict", "first", *asked))["answers"]]
    assert len(ranks) == 661 and worth["epoch"] > 0
    shutil.rmtree(tmp_path / "runs")
    again = json.loads(told("evaluate", "model", "--json"))
    metrics = ["mrr", "hits_at_1", "hits_at_3", "hits_at_10", "ndcg_at_5", "tail", "head", "floor", "epoch"]
    assert {name: again[name] for name in metrics} == {name: worth[name] for name in metrics}
    assert [row["rank"] for row in json.loads(told("predict", "model", *asked))["answers"]] == ranks


def test_the_command_alone_draws_its_first_screen(dans, environment, tmp_path, page):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    looks = {"STREAMLIT_SERVER_PORT": str(port), "STREAMLIT_SERVER_HEADLESS": "true"}
    with (tmp_path / "said.txt").open("wb") as said:
        server = subprocess.Popen(
            dans,
            cwd=tmp_path,
            env=environment | looks,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        words = tmp_path / "said.txt"
        wait_for(
            lambda: server.poll() is not None or "URL: http" in words.read_text(), "the server's address"
        )
        assert server.poll() is None, words.read_text()
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("button", name="Start training").wait_for()
        page.locator(DRAWN).first.wait_for()
        at_rest(page)
        is_calm(page)
        # Its own process trains: it, too, is found where the package is.
        page.goto(f"http://127.0.0.1:{port}/?dataset=nations&sampler=uniform&epochs=20")
        page.get_by_role("button", name="Start training").click()
        page.get_by_text("Finished").first.wait_for()
        assert "Traceback" not in words.read_text()
    finally:
        # uvx and pipx have the app in a process below theirs.
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=PATIENCE)
