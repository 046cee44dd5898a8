"""Starting, pausing and going on with studies from the app; each runs in a process of its own, as in a terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import streamlit as st

from dans_app.server import visitors
from dans_app.server.jobs import ROOT
from dans_data.errors import InputError
from dans_lab.runs.records import replace
from dans_lab.study.folder import Study, studies_dir
from dans_lab.study.plan import Plan
from dans_lab.study.session import ask, is_running, last_session

LOG = "log.txt"


class Conductors:
    """The processes that this server started to run studies, each in a session of its own, which outlives the app."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._working: dict[Path, subprocess.Popen[bytes]] = {}

    def begin(self, plan: Plan) -> Study:
        """Make the folder of a study and run it.

        Raises InputError for who is no teacher, and for a folder that is there already or cannot be written.
        """
        visitors.need("teacher", "running a study")
        study = Study(studies_dir() / plan.name)
        try:
            study.path.parent.mkdir(parents=True, exist_ok=True)
            study.path.mkdir()
            replace(study.path / "study.toml", plan.text.encode())
        except FileExistsError:
            raise InputError(f"there is a study {plan.name!r} already; give this one another name") from None
        except OSError as error:
            # A folder without its file would only keep the name from another try.
            shutil.rmtree(study.path, ignore_errors=True)
            raise InputError(f"{study.path} cannot be made ({error.strerror})") from None
        self.go_on(study)
        return study

    def go_on(self, study: Study) -> None:
        """Run a study from where it was left; nothing is done where a process runs it already.

        Raises InputError for who is no teacher, and where no process can be started.
        """
        visitors.need("teacher", "running a study")
        with self._turn:
            if is_running(study) or self._is_on_its_way(study):
                return
            ask(study, pause=False)
            try:
                with (study.path / LOG).open("wb") as words:
                    self._working[study.path] = subprocess.Popen(
                        [sys.executable, "-m", "dans_core", "study", "--begun", study.name],
                        cwd=ROOT,
                        env=os.environ | {"DANS_RUNS_DIR": str(study.path.absolute().parents[1])},
                        stdin=subprocess.DEVNULL,
                        stdout=words,
                        stderr=words,
                        # Else Ctrl-C on the server would reach every study.
                        start_new_session=True,
                    )
            except OSError as error:
                raise InputError(f"no process could be started ({error.strerror})") from None

    def starts(self, study: Study) -> bool:
        """Whether a process is about to run the study, of which the study knows nothing yet."""
        with self._turn:
            return self._is_on_its_way(study) and not is_running(study)

    def _is_on_its_way(self, study: Study) -> bool:
        # Asking each for its exit code lets the system forget those that ended.
        self._working = {path: each for path, each in self._working.items() if each.poll() is None}
        return study.path in self._working


@st.cache_resource(show_spinner=False)
def conductors() -> Conductors:
    """Those of this server."""
    return Conductors()


def pause(study: Study) -> None:
    """Ask who runs a study to pause it. Raises InputError for who is no teacher, and where it cannot be asked."""
    visitors.need("teacher", "pausing a study")
    ask(study, pause=True)


def why_it_ended(study: Study) -> str:
    """Why a study that no process runs now ended before its time, in a sentence; "" where it was paused or is whole."""
    last = last_session(study)
    if last is not None and last.stage == "over":
        return last.reason
    if last is not None:
        return "its process was ended from outside"
    try:
        lines = (study.path / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return said[-1] if said else ""
