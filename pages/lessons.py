"""Screen Lessons: the list of lessons, and one lesson step by step."""

from typing import Literal

import streamlit as st

from dans_app.lessons import evidence, kept, steps
from dans_app.shared import lesson_place, shell
from dans_app.shared.lesson_place import Place
from dans_app.shared.words import markdown_text
from dans_data.errors import InputError
from dans_data.words import count
from dans_lab.lessons.files import lessons
from dans_lab.lessons.form import Lesson, Step


def list_all(every: list[Lesson]) -> None:
    """A card for each lesson."""
    with st.container(key="lesson_list"):
        cards(every)


def cards(every: list[Lesson]) -> None:
    for number, lesson in enumerate(every, 1):
        head, memory = lesson.head, lesson_place.memory(lesson.name)
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{number} · {head.title}** · {count(head.minutes, 'minute')}  \n{head.about}  \n"
                f":small[Before: {head.before}]",
                width="stretch",
            )
            through = memory.step >= len(lesson.steps)
            label = (
                "Look again" if through else f"Go on at step {memory.step + 1}" if memory.reached else "Begin"
            )
            if st.button(
                label,
                icon=":material/check:" if through else None,
                type="secondary" if memory.reached else "primary",
                key=f"lesson_begin_{lesson.name}",
            ):
                lesson_place.begin(lesson.name)
                if through:
                    memory.step = 0
                st.rerun()


def forgetting(every: list[Lesson]) -> None:
    """A way to begin all over, once something was done."""
    if any(lesson_place.memory(lesson.name).touched for lesson in every):
        st.caption("What you predicted and answered is kept in this browser alone.")
        if st.button("Forget it and begin anew", type="tertiary", icon=":material/restart_alt:"):
            kept.forget(every)
            st.rerun()


def look(place: Place, step: Step) -> bool:
    """Go to another screen and do something there; the bar on that screen says when it is done."""
    st.info(step.task, icon=":material/ads_click:")
    if st.button(f"Open {shell.title_of(step.screen)}", type="primary", icon=":material/open_in_new:"):
        query = evidence.with_runs(place.lesson, step.query)
        shell.leave(shell.title_of(step.screen), **query)
    return place.memory.reached > place.memory.step


def watch(run_id: str) -> None:
    if st.button("Watch it on Train", icon=":material/show_chart:", type="tertiary"):
        shell.leave("Train", run=run_id)


def body(place: Place, step: Step) -> bool:
    """The step itself; whether it is done."""
    match step.kind:
        case "look":
            return look(place, step)
        case "predict":
            return steps.predict(place, step)
        case "run":
            return steps.run(place, watch)
        case "gap":
            return steps.gap(place, step)
        case "ask":
            return steps.ask(place, step)
    return True


def follow(place: Place) -> None:
    """One step of a lesson."""
    place.memory.step = min(place.memory.step, steps.open_to(place))
    step, total = place.step, len(place.lesson.steps)
    if step is None:
        through(place)
        return
    st.progress((place.memory.step + 1) / total, text=f"Step {place.memory.step + 1} of {total}")
    with st.container(key="lesson_step", width=760):
        st.header(step.title, anchor=False)
        before = step.kind in ("gap",)
        done = body(place, step) if before else False
        steps.text(place, step)
        done = done if before else body(place, step)
        move(place, done)


def move(place: Place, done: bool) -> None:
    """Back, and on where the step is done."""
    with st.container(horizontal=True, gap="small"):
        if st.button(
            "Back", icon=":material/arrow_back:", disabled=place.memory.step == 0, key="lesson_previous"
        ):
            place.go(place.memory.step - 1)
            st.rerun()
        kind: Literal["primary", "secondary"] = "primary" if done else "secondary"
        if st.button(
            "Next", icon=":material/arrow_forward:", type=kind, disabled=not done, key="lesson_next"
        ):
            place.go(place.memory.step + 1)
            st.rerun()
        close()


def close() -> None:
    if st.button("All lessons", type="tertiary", icon=":material/list:", key="lesson_all"):
        lesson_place.leave()
        st.rerun()


def through(place: Place) -> None:
    """The end of a lesson, and the way to the next."""
    st.header("Lesson complete", anchor=False)
    st.markdown(steps.summary(place))
    every = lessons()
    following = next((each for each in every if each.head.order > place.lesson.head.order), None)
    with st.container(horizontal=True, gap="small"):
        if following and st.button(
            f"Next lesson: {following.head.title}", type="primary", icon=":material/arrow_forward:"
        ):
            lesson_place.begin(following.name)
            st.rerun()
        if st.button("Look again", icon=":material/replay:"):
            place.memory.step = 0
            st.rerun()
        close()


shell.guard()
followed = None
try:
    known = lessons()
    followed = lesson_place.follow()
except InputError as error:
    known = []
    st.error(f"The lessons cannot be shown: {markdown_text(str(error), 300)}.", icon=":material/error:")
bar = shell.head(followed.lesson.head.title if followed else "Lessons")
if followed:
    st.caption(f"{followed.lesson.head.about} {count(followed.lesson.head.minutes, 'minute')}.")
else:
    st.caption(
        "Predict, run, look at the gap, and answer a question from the screen. Each lesson can be left and taken up "
        "again, and its address is its place."
    )
shell.narrow_hint("The other pages are behind the arrows at the top left.")
shell.toolbar(bar, None)
if problem := lesson_place.problem():
    st.warning(problem, icon=":material/link_off:")
if followed:
    with shell.told("This lesson cannot go on"):
        follow(followed)
else:
    list_all(known)
    forgetting(known)
kept.keep(known)
