"""`python -m dans_lab.lessons.author FILE …` trains the runs of lessons and writes their figures into `[measured]`."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.events import Event
from dans_data.errors import InputError
from dans_lab.lessons.files import read_lesson
from dans_lab.lessons.form import LessonRun
from dans_lab.lessons.measuring import measure
from dans_lab.runs import process
from dans_lab.runs.run import RECORDED, Run
from dans_lab.watched import watched


def train(run: LessonRun) -> list[Event]:
    """The events of a run: of a recorded one those it has, else those of training it here and now."""
    if run.config is None:
        return Run(RECORDED / run.recorded).events()
    return _trained(run.dataset, run.config.model_dump_json(exclude_unset=True))


@cache
def _trained(dataset: str, settings: str) -> list[Event]:
    return list(watched(Trainer(KnowledgeGraph.load(dataset), Config.model_validate_json(settings))))


def write(file: Path) -> None:
    """Measure a lesson and write what came out; raises InputError where the file is no lesson even then."""
    lesson = read_lesson(file, measured=False)
    found = measure(lesson, {name: train(run) for name, run in lesson.runs.items()})
    lines = "".join(f"{name} = {value:.4g}\n" for name, value in found.items())
    text = file.read_text(encoding="utf-8")
    head, fence, body = text[3:].partition("\n+++")
    kept = re.sub(r"\n\[measured\][^\[]*", "\n", head)
    file.write_text(f"+++{kept.rstrip()}\n\n[measured]\n{lines.rstrip()}{fence}{body}", encoding="utf-8")
    read_lesson(file)


if __name__ == "__main__":
    process.prepare()
    try:
        for name in sys.argv[1:]:
            write(Path(name))
            print(f"{name}: measured")
    except InputError as error:
        sys.exit(f"error: {error}")
