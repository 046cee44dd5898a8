"""The slim bar at the top of every other screen while a lesson is followed: what to do here, and the way back."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from dans_app.shared import lesson_place
from dans_app.shared.lesson_place import Place

_LOOK = """<style>
.st-key-lesson_bar { padding: 0.3rem 0.8rem; border-left: 4px solid #0B9268; }
@media (min-width: 768px) {
  .st-key-lesson_bar { flex-wrap: nowrap; }
  .st-key-lesson_bar > :first-child { min-width: 0; flex: 1 1 0; }
}
</style>"""


def show(place: Place, path: str) -> Literal["back", "left"] | None:
    """Draw it on the screen of this path; what the person wants: back to the lesson, or out of it."""
    step, total = place.step, len(place.lesson.steps)
    here = step is not None and step.kind == "look" and step.screen == path
    with st.container(
        key="lesson_bar", border=True, horizontal=True, vertical_alignment="center", gap="small"
    ):
        count = "done" if step is None else f"step {place.memory.step + 1} of {total}"
        task = (
            step.task
            if step and here
            else "You are in the middle of this lesson."
            if step
            else "It is complete."
        )
        st.markdown(f"**Lesson, {count}** · {task}", width="stretch")
        done = here and st.button("Done, go on", type="primary", icon=":material/check:", key="lesson_done")
        back = st.button("Back to the lesson", icon=":material/school:", key="lesson_back")
        left = st.button(
            "Leave", type="tertiary", icon=":material/close:", key="lesson_leave", help="Leave this lesson."
        )
        st.html(_LOOK)
    if done and step:
        if not _stands(step.until):
            st.warning(f"Not yet: {step.task}", icon=":material/pending:")
            return None
        place.go(place.memory.step + 1)
        return "back"
    if left:
        lesson_place.leave()
        return "left"
    return "back" if back else None


def _stands(until: dict[str, str]) -> bool:
    """Whether the address says this now; "!affects" is anything but affects."""
    now = st.query_params
    return all(
        name in now and (now[name] != wanted[1:] if wanted.startswith("!") else now[name] == wanted)
        for name, wanted in until.items()
    )
