"""What Streamlit runs in place of app.py, to time what the server does for each click and tick."""

from __future__ import annotations

import json
import runpy
import sys
import threading
import time
from pathlib import Path
from typing import Any

from streamlit.runtime.scriptrunner.script_runner import ScriptRunner

from tests.browser.server import ROOT


def run(log: Path) -> None:
    """app.py, in a server that writes to `log` how long each of its script runs took."""
    plain = ScriptRunner._run_script
    if marks := getattr(plain, "marks", None):
        marks.whole = True
        runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
        return
    # Whether the script was run from its beginning, since a tick may end with that.
    marks = threading.local()

    def timed(self: ScriptRunner, rerun: Any) -> None:
        marks.whole = False
        at, wall, cpu = time.time(), time.perf_counter(), time.thread_time()
        try:
            plain(self, rerun)
        finally:
            line = {
                "at": at,
                "wall": time.perf_counter() - wall,
                "cpu": time.thread_time() - cpu,
                "tick": bool(rerun.fragment_id_queue) and not marks.whole,
            }
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")

    timed.marks = marks
    ScriptRunner._run_script = timed
    runpy.run_path(str(ROOT / "app.py"), run_name="__main__")


if __name__ == "__main__":
    run(Path(sys.argv[1]))
