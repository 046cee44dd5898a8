"""What was done in the lessons, kept in the browser: from the session to it, and at the next visit back."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from dans_app.shared import components, lesson_place
from dans_app.shared.lesson_place import Memory
from dans_lab.lessons.form import Lesson

_SCRIPT = Path(__file__).with_name("memory.js")
_KEY = "lessons_kept"
_LONGEST = 20_000


class _Kept(BaseModel):
    """A `Memory` as it is written."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    step: int
    reached: int
    said: float | None
    chosen: dict[str, list[int]]


_READ = TypeAdapter(dict[str, _Kept])


def keep(every: list[Lesson]) -> None:
    """Give the browser what was done in the lessons, and take in what it kept of those untouched in this session."""
    done = {lesson.name: memory for lesson in every if (memory := lesson_place.memory(lesson.name)).touched}
    components.draw(
        _SCRIPT,
        {"lessons": {name: _written(memory) for name, memory in done.items()}},
        _KEY,
        on_kept_change=lambda: take(components.told(_KEY, "kept"), every),
    )


def forget(every: list[Lesson]) -> None:
    """Nothing was done in any lesson."""
    lesson_place.leave()
    for lesson in every:
        lesson_place.put(lesson.name, Memory())


def take(text: object, every: list[Lesson]) -> None:
    """What a browser has kept; anyone may have sent it, so what does not fit a lesson is passed over."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return
    try:
        found = _READ.validate_json(text)
    except ValidationError:
        return
    here = lesson_place.now()
    for lesson in every:
        kept = found.get(lesson.name)
        memory = lesson_place.memory(lesson.name)
        if kept is None or memory.touched or not _fits(kept, lesson):
            continue
        # An address says where one is; what was done is as it was kept.
        step = memory.step if here and here.lesson.name == lesson.name else kept.step
        chosen = {int(number): answers for number, answers in kept.chosen.items()}
        lesson_place.put(lesson.name, Memory(step, kept.reached, kept.said, chosen))


def _written(memory: Memory) -> dict[str, object]:
    chosen = {str(number): answers for number, answers in memory.chosen.items() if answers}
    return {"step": memory.step, "reached": memory.reached, "said": memory.said, "chosen": chosen}


def _fits(kept: _Kept, lesson: Lesson) -> bool:
    scale, steps = lesson.prediction, lesson.steps
    said = kept.said is None or scale.low <= kept.said <= scale.high
    answers = all(
        number.isdecimal()
        and int(number[:4]) < len(steps)
        and all(0 <= answer < len(steps[int(number[:4])].options) for answer in given)
        for number, given in kept.chosen.items()
    )
    return said and answers and 0 <= kept.step <= kept.reached <= len(steps)
