"""A tick of a screen that was left does nothing on the one that came.

A part of a screen that looks again every second asks for it by a message from the browser. One that is sent while a
callback leads to another screen arrives after that screen was drawn, and names the one that was left. Streamlit then
finds no such part any more and draws nothing, but has first told the browser that the screen has changed: the browser
clears it, refuses what is drawn into it next, and is dead until it is loaded again. Streamlit stops these ticks where a
link of its menu was clicked, and not where a script leads elsewhere.
"""

from __future__ import annotations

from streamlit.runtime.scriptrunner import RerunData
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner

_run_script = ScriptRunner._run_script


def begin() -> None:
    """Let no server of this process answer ticks of screens that were left. Calling it again does nothing."""
    ScriptRunner._run_script = _of_this_screen  # type: ignore[method-assign] # there is no hook for this


def _of_this_screen(self: ScriptRunner, rerun_data: RerunData) -> None:
    asked = rerun_data.fragment_id_queue
    if not asked or any(map(self._fragment_storage.contains, asked)):
        _run_script(self, rerun_data)
