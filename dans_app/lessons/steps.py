"""What each kind of step shows, and whether it is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from dans_app.lessons import evidence
from dans_app.shared import components, dialogs
from dans_app.shared.lesson_place import Place
from dans_app.shared.words import sentence
from dans_data.errors import InputError
from dans_lab.lessons import checks
from dans_lab.lessons.cards import filled
from dans_lab.lessons.form import Step

TICK = 0.5

_GAP = Path(__file__).with_name("gap.js")

_REFUSED = "dans_lesson_refused"

MOST_STOPS = 200
"""Places of the slider of a prediction."""


def spoken(place: Place, value: float, figure: str = "") -> str:
    """A value of the predicted figure as it reads, with its unit."""
    asked = place.lesson.prediction
    return f"{place.lesson.form(figure or asked.figure, value)} {asked.noun}".strip()


def text(place: Place, step: Step) -> None:
    """The text of a step, with the figures that are measured by now."""
    figures = evidence.figures(place.lesson) if "{" in step.text else None
    st.markdown(filled(place.lesson, step.text, figures or {}))


def predict(place: Place, step: Step) -> bool:
    """Commit to a number by a click."""
    said = place.memory.said
    if said is not None:
        st.info(f"You said **{spoken(place, in_figure(step, said))}**. That stands.", icon=":material/lock:")
        return True
    low, high, size, form = scale(step, place.lesson.head.figures[step.figure].form)
    value = st.slider(
        f"Your prediction{f' ({step.unit})' if step.unit else ''}",
        low,
        high,
        (low + high) / 2 if isinstance(low, float) else (low + high) // 2,
        size,
        format=form,
        key=f"lesson_slider_{place.lesson.name}",
    )
    if st.button("Commit to this", type="primary", icon=":material/lock:", key="lesson_commit"):
        place.commit(float(value))
        place.go(place.memory.step + 1)
        st.rerun()
    return False


def scale(step: Step, form: str) -> tuple[float, float, float, str]:
    """The ends and the step of the slider, and how it writes a number: whole ones where the figure reads so.

    It has at most `MOST_STOPS` steps, so that arrow keys get anywhere.
    """
    found = form.rstrip("%f").rpartition(".")[2]
    digits = int(found) if found.isdecimal() else 0
    if form.endswith("%") or digits == 0:
        return int(step.low), int(step.high), 1, "%d"
    while digits > 1 and (step.high - step.low) * 10**digits > MOST_STOPS:
        digits -= 1
    return step.low, step.high, 10.0**-digits, f"%.{digits}f"


def in_figure(step: Step, said: float) -> float:
    """What was said on the scale, as the figure counts it: 40 % is 0.4."""
    return said / 100 if step.unit == "%" else said


def run(place: Place, also: Callable[[str], None]) -> bool:
    """Train the runs of the lesson, or say that they are there; `also` offers to watch a run by its id."""
    progress = evidence.progress(place.lesson)
    if progress.over:
        st.success(
            "The run is there." if len(progress.text) == 1 else "All runs are there.", icon=":material/check:"
        )
        return True
    if problem := st.session_state.pop(_REFUSED, None):
        st.error(sentence(problem), icon=":material/error:")
    if progress.failed:
        st.error(sentence(f"the run failed: {progress.failed}"), icon=":material/error:")
    if not progress.going:
        st.button("Run it", type="primary", icon=":material/play_arrow:", on_click=_start, args=(place,))
        return False
    _watching(place, also)
    return False


def _start(place: Place) -> None:
    try:
        evidence.start(place.lesson)
    except InputError as error:
        st.session_state[_REFUSED] = str(error)


@st.fragment(run_every=TICK)
def _watching(place: Place, also: Callable[[str], None]) -> None:
    _start(place)
    progress = evidence.progress(place.lesson)
    if progress.over or not progress.going:
        dialogs.redraw()
    for name, (said, share) in progress.text.items():
        st.progress(share, text=f"**{place.lesson.head.runs[name].title}** · {said}")
    for found in evidence.runs_of(place.lesson).values():
        if found is not None and not evidence.over(found):
            also(found.id)
            break


def gap(place: Place, step: Step) -> bool:
    """The prediction beside what was measured."""
    figures, asked = evidence.figures(place.lesson), place.lesson.prediction
    said = place.memory.said
    if figures is None or said is None:
        return False
    mine, found = in_figure(asked, said), figures[asked.figure]
    words = [f"You said {spoken(place, mine)}", f"Measured {spoken(place, found)}"]
    components.draw(
        _GAP,
        {
            "said": _share(asked, mine),
            "found": _share(asked, found),
            "words": words,
            "ends": [spoken(place, in_figure(asked, end)) for end in (asked.low, asked.high)],
            "about": f"{words[0]}. {words[1]}. {apart(place, abs(found - mine))} apart.",
        },
        "lesson_gap",
    )
    st.markdown(f"**{apart(place, abs(found - mine))}** apart.")
    if not checks.holds(place.lesson.head.promise, figures):
        st.warning(
            "On this machine the figures came out otherwise than where the lesson was written, so its text may not fit "
            "them; believe the figures.",
            icon=":material/rule:",
        )
    return True


def _share(asked: Step, value: float) -> float:
    """Where on the scale, in per cent of its length; what is beyond stands at its end."""
    low, high = in_figure(asked, asked.low), in_figure(asked, asked.high)
    return round(100 * min(1.0, max(0.0, (value - low) / (high - low))), 2)


def apart(place: Place, distance: float) -> str:
    """The distance of two figures: of shares in points, as 12 % and 15 % are 3 points apart."""
    asked = place.lesson.prediction
    if asked.unit == "%":
        return f"{100 * distance:.0f} points"
    return spoken(place, distance).lstrip("+")


def ask(place: Place, step: Step) -> bool:
    """A question; every answer is told why. True once the right one is chosen."""
    figures = evidence.figures(place.lesson)
    if figures is None:
        return False
    right = step.right(figures)
    words = [filled(place.lesson, option.text, figures) for option in step.options]
    key = f"lesson_ask_{place.lesson.name}_{place.memory.step}"
    before = place.memory.chosen.setdefault(place.memory.step, [])
    chosen = st.radio(
        "Your answer",
        range(len(words)),
        index=before[-1] if before else None,
        format_func=words.__getitem__,
        key=key,
    )
    if chosen is None:
        return False
    if not before or before[-1] != chosen:
        before.append(chosen)
    told = filled(place.lesson, step.options[chosen].feedback, figures)
    if chosen in right:
        st.success(f"**Right.** {told}", icon=":material/check_circle:")
    else:
        st.warning(f"**Not quite.** {told}", icon=":material/cancel:")
    return chosen in right


def open_to(place: Place) -> int:
    """The furthest step that may be shown: none behind a prediction that is not made, or runs that are not there."""
    for number, step in enumerate(place.lesson.steps):
        if step.kind == "predict" and place.memory.said is None:
            return number
        if step.kind in ("gap", "ask") and evidence.figures(place.lesson) is None:
            return max(
                earlier for earlier in range(number) if place.lesson.steps[earlier].kind in ("run", "predict")
            )
    return len(place.lesson.steps)


def summary(place: Place) -> str:
    """What was predicted and measured, and how many questions were right at once, in Markdown."""
    figures, asked = evidence.figures(place.lesson), place.lesson.prediction
    if figures is None or place.memory.said is None:
        return ""
    right = {
        number: step.right(figures) for number, step in enumerate(place.lesson.steps) if step.kind == "ask"
    }
    firsts = {number: chosen[0] for number, chosen in place.memory.chosen.items() if chosen}
    at_once = sum(firsts.get(number) in answers for number, answers in right.items())
    said = spoken(place, in_figure(asked, place.memory.said))
    score = f" Right at the first attempt: {at_once} of {len(right)}." if firsts else ""
    return f"You predicted **{said}**; measured: **{spoken(place, figures[asked.figure])}**.{score}"
