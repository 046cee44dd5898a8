"""The package as pip installs it: the command `dans` in a folder without the checkout."""

from __future__ import annotations

import email
import os
import socket
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from dans_lab.runs.run import Run
from tests.small_run import ROOT
from tests.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.long

_READS = """
import dans_core
from dans_app.teach import plans
from dans_data.shipped import TOP
from dans_lab.failing import measured
from dans_lab.lessons.files import lessons
from dans_lab.runs.run import recorded_runs
from dans_lab.study.folder import RESULTS
print(dans_core.__file__, TOP, len(lessons()), len(measured()), len(recorded_runs()), RESULTS.is_dir())
print(*plans.PLANS, plans.plan("lecture-15.md", "")[:20], (TOP / "assets" / "studies" / "main.toml").is_file())
"""


PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # hatchling, which builds it, is here already.
    built = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run(built, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package and nothing else."""
    folder = tmp_path_factory.mktemp("package") / "site"
    command = [*PIP, "install", "--no-deps", "--no-compile", "--target", folder, wheel]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def environment(site: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}


def test_the_wheel_needs_what_pyproject_says_and_has_nothing_left_over(wheel):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        (place,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        told = email.message_from_bytes(packed.read(place))
    needed = [requirement for requirement in told.get_all("Requires-Dist") if "extra ==" not in requirement]
    assert sorted(needed) == sorted(project["dependencies"])
    assert set(told.get_all("Provides-Extra")) == set(project["optional-dependencies"])
    floors = {"dans_app", "dans_core", "dans_data", "dans_lab"}
    assert {name.split("/")[0] for name in names} == {*floors, place.split("/")[0]}
    assert floors == {name.split("/")[0] for name in names if name.endswith("/py.typed")}
    assert [name for name in names if name.endswith(".pyc") or "/tests/" in name] == []


def test_what_ships_beside_the_code_is_found(site, environment, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _READS],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    shipped = site / "dans_data" / "shipped"
    assert first == f"{site}/dans_core/__init__.py {shipped} 8 10 2 True"
    assert second.startswith("lecture-45.md lecture-15.md ") and second.endswith("True")


def test_the_command_trains_where_one_stands(site, environment, tmp_path):
    command = [site / "bin" / "dans", "train", "--dataset", "nations", "--set", "dim=8", "--epochs", "2"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    (folder,) = (tmp_path / "runs").iterdir()
    assert Run(folder).status.state == "finished"


def test_the_command_alone_opens_the_app(site, environment, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    looks = {"STREAMLIT_SERVER_PORT": str(port), "STREAMLIT_SERVER_HEADLESS": "true"}
    said = (tmp_path / "said.txt").open("wb")
    server = subprocess.Popen(
        [site / "bin" / "dans"], cwd=tmp_path, env=environment | looks, stdout=said, stderr=subprocess.STDOUT
    )

    def answers() -> bool:
        assert server.poll() is None
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
            return page.status == 200
        return False

    try:
        wait_for(answers, "an answer of the server")
        # Its settings came along, among them that no other machine is answered.
        assert f"URL: http://127.0.0.1:{port}" in (tmp_path / "said.txt").read_text()
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE)
        said.close()
