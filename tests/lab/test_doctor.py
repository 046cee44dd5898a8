"""`doctor`: what is wrong with an installation or a machine is found, named, and told with what helps."""

from __future__ import annotations

import importlib.metadata
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dans_core.config import Config
from dans_data.cache import CACHE_DIR_VARIABLE, OWN_DIR_VARIABLE
from dans_lab import doctor
from dans_lab.budget.estimates import MEMORY_VARIABLE
from dans_lab.cli import main
from dans_lab.doctor import Finding, examine
from dans_lab.runs.run import RUNS_DIR_VARIABLE
from dans_lab.runs.writer import RunWriter


@pytest.fixture(autouse=True)
def sound(tmp_path, monkeypatch):
    """A machine with nothing to mend, whatever else it does."""
    for variable in (RUNS_DIR_VARIABLE, OWN_DIR_VARIABLE, CACHE_DIR_VARIABLE):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv(MEMORY_VARIABLE, "4")


def of(about: str, state: str) -> Finding:
    """The one finding of this kind and state."""
    (found,) = [each for each in examine() if (each.about, each.state) == (about, state)]
    return found


def test_a_sound_machine_has_nothing_to_mend(capsys):
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {each["state"] for each in found} <= {"OK", "worth knowing"}
    abouts = [each["about"] for each in found]
    assert {"packages", "runs folder", "port", "cores", "memory", "GPU", "open files", "running"} <= set(
        abouts
    )
    assert all(each["advice"] for each in found if each["state"] != "OK")
    assert main(["doctor"]) == 0
    assert "0 things to mend" in capsys.readouterr().out


def test_it_looks_without_torch_and_leaves_nothing_behind(tmp_path):
    code = "import sys; from dans_lab.doctor import examine; examine(); print('torch' in sys.modules)"
    if any(Path(path).exists() for path in doctor._DEVICE_FILES):
        pytest.skip("there is a GPU, for which torch has to be asked")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_installed_and_what_is_another_version(monkeypatch):
    other = {"streamlit": "1.67.9", "numpy": "1.0.0"}
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "plotly":
            raise importlib.metadata.PackageNotFoundError(name)
        return other.get(name) or real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = {each.found.split()[0]: each for each in examine() if each.about == "packages"}
    assert {name: each.state for name, each in found.items()} == {
        "streamlit": "worth knowing",
        "plotly": "to mend",
        "numpy": "to mend",
    }
    assert "plotly is not installed" in found["plotly"].found
    assert found["numpy"].advice.startswith(f"{sys.executable} -m pip install numpy==")


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(tmp_path / "file" / "runs"))
    assert main(["doctor"]) == 1
    assert "1 thing to mend" in capsys.readouterr().out
    assert of("runs folder", "to mend").found == f"{tmp_path / 'file'} is no folder"
    monkeypatch.setenv(RUNS_DIR_VARIABLE, "/proc/runs")
    assert "cannot be written" in of("runs folder", "to mend").found


def test_a_port_that_is_taken(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("STREAMLIT_SERVER_PORT", str(taken.getsockname()[1]))
        assert "--server.port" in of("port", "worth knowing").advice
    monkeypatch.setenv("STREAMLIT_SERVER_PORT", "99999999")
    assert "is no port" in of("port", "to mend").found


def test_little_memory_and_few_files(monkeypatch):
    monkeypatch.setenv(MEMORY_VARIABLE, "0.5")
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda _: (256, 256))
    assert "500 MB" in of("memory", "to mend").found
    assert "ulimit" in of("open files", "to mend").advice


def test_settings_that_are_misspelt_or_wrong(monkeypatch):
    monkeypatch.setenv("DANS_RUN_DIR", "elsewhere")
    monkeypatch.setenv("DANS_MIRROR", "https://someone:secret@example.org")
    found = of("settings", "worth knowing")
    assert found.found.startswith("DANS_RUN_DIR is no setting") and RUNS_DIR_VARIABLE in found.advice
    monkeypatch.delenv("DANS_RUN_DIR")
    assert "DANS_MIRROR" in of("settings", "OK").found
    assert "secret" not in str(examine())
    monkeypatch.setenv("DANS_LIMITS", "triplets=many")
    assert "triplets" in of("settings", "to mend").found


def test_every_variable_that_the_program_reads_is_known():
    root = Path(doctor.__file__).parents[1]
    files = [
        file
        for floor in ("dans_data", "dans_core", "dans_lab", "dans_app")
        for file in (root / floor).rglob("*.py")
    ]
    named = {name for file in files for name in re.findall(r'= "(DANS_[A-Z_]+)"', file.read_text("utf-8"))}
    assert len(named) > 5 and named <= doctor._VARIABLES


def test_what_is_under_way(tmp_path):
    folder = tmp_path / RUNS_DIR_VARIABLE
    (folder / "Not a run").mkdir(parents=True)
    with RunWriter.create(folder, "busy", Config(), "nations", "0" * 16, "nations"):
        assert of("running", "OK").found == "1 run under way: busy"
        assert "1 folder" in of("running", "worth knowing").found
    assert of("running", "OK").found == "no run is under way"
