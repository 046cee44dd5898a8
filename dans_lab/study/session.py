"""Who runs a study now, how far that is, and the wish of a viewer that it pause; nothing here needs torch.

studies/NAME/
  session.json    who runs the study, or ran it last, and what came of it
  control.json    what a viewer asks of it: read between two replies, reset by a new start
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dans_data.errors import InputError
from dans_lab.runs.locks import is_held
from dans_lab.runs.records import R, Record, read, replace, to_json
from dans_lab.study.folder import Study

LOCK = "study.lock"

By = Literal["terminal", "app"]
Stage = Literal["timing", "training", "over"]


class Session(Record):
    """The last time that a process ran the study.

    Attributes:
        by: who started it. size: runs at a time.
        stage: "timing" each kind of run, "training", or "over".
        reason: why it ended before its time; "" where it did not, or was paused.
    """

    by: By
    size: int = Field(default=1, ge=1)
    stage: Stage = "timing"
    reason: str = ""


class Wish(Record):
    """What a viewer asks of the process that runs a study."""

    pause: bool = False


def is_running(study: Study) -> bool:
    """Whether a process runs the study now, whoever started it."""
    return is_held(study.path / LOCK)


def last_session(study: Study) -> Session | None:
    """What the process that runs it, or ran it last, said of itself; None where there is nothing to be read."""
    return _found(study, "session.json", Session)


def is_to_pause(study: Study) -> bool:
    """Whether a viewer asked the study to pause."""
    wish = _found(study, "control.json", Wish)
    return wish is not None and wish.pause


def ask(study: Study, pause: bool) -> None:
    """Ask whoever runs the study to pause, or take that back.

    Raises InputError where its folder cannot be written.
    """
    _write(study, "control.json", Wish(pause=pause))


def tell(study: Study, session: Session) -> None:
    """Say how far the process that runs the study is.

    Raises InputError where its folder cannot be written.
    """
    _write(study, "session.json", session)


def _found(study: Study, name: str, kind: type[R]) -> R | None:
    try:
        return read(study.path / name, kind)
    except InputError:
        return None


def _write(study: Study, name: str, record: Record) -> None:
    path = study.path / name
    try:
        replace(path, to_json(record))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror})") from None
