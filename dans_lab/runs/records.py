"""The small files of a run: their fields, how they are checked when read, and how a file is replaced whole."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dans_data.complaints import first_problem
from dans_data.errors import InputError
from dans_lab.runs import bounded

State = Literal["queued", "running", "paused", "finished", "stopped", "failed", "interrupted"]

LOG_LINE = b'{"event": "log", "id": "%s"}\n'
"""The first line of events.jsonl, with 16 random hexadecimal digits that name this writing of the file."""

LOG_LINE_BYTES = len(LOG_LINE % (b"0" * 16))

_LOG_LINE_FORM = re.compile(rb'\{"event": "log", "id": "([0-9a-f]{16})"\}\n')


class Record(BaseModel):
    """A JSON file of a run: exact types, finite numbers; fields of later versions are passed over."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, extra="ignore")


R = TypeVar("R", bound=Record)

_MOST = 10**12
"""More epochs or stages than any run has; beyond some such number tables and charts cannot show them."""

_LONGEST = 1e9
"""Seconds that no run takes: thirty years."""

_LATEST = 7.3e9
"""Seconds since 1970: the year 2201."""


class Control(Record):
    """What a viewer asks for, as a target and not as a command, so asking twice is asking once.

    The run goes on while its stage number is below `run_until` (None: to the end) and then waits, paused.
    So pause = 0, one step = stage number + 1, resume = None.
    """

    run_until: int | None = Field(default=None, ge=0, le=_MOST)
    stop: bool = False


class Status(Record):
    """State and progress of a run. Epochs and stages are those done; times in seconds.

    `diverged` says of a failed run that its losses were no numbers any more, so that trying again is no use.
    `stage` and `values` are the name and losses of the latest stage (for step mode). `seconds` is training
    time over all sessions, `eta_seconds` what is left of it as far as one can tell, `updated` the time of
    writing since 1970. `test_mrr` is that of the weights of the best epoch, once a run has finished. `live` says
    whether a process holds the run now, and `silent` for how many seconds one that does has not been heard of, where
    that is long; they are found out when reading and not kept in the file, and so is the
    state "interrupted".
    """

    state: State
    reason: str = ""
    diverged: bool = False
    epoch: int = Field(default=0, ge=0, le=_MOST)
    epochs: int = Field(ge=1, le=_MOST)
    stage_number: int = Field(default=0, ge=0, le=_MOST)
    stage: str = ""
    values: dict[str, float | None] = Field(default_factory=dict)
    seconds: float = Field(default=0.0, ge=0, le=_LONGEST)
    eta_seconds: float | None = None
    best_epoch: int | None = Field(default=None, ge=0, le=_MOST)
    best_mrr: float | None = Field(default=None, ge=0, le=1)
    test_mrr: float | None = Field(default=None, ge=0, le=1)
    updated: float = Field(ge=0, le=_LATEST)
    live: bool = Field(default=False, exclude=True)
    silent: float | None = Field(default=None, exclude=True)


class Meta(Record):
    """Which data set, seed and versions a run used, and when it was created (ISO 8601, UTC).

    `source` is what `KnowledgeGraph.load` takes, `hash` the identity of what it must then find. `study` is the name of
    the study that the run belongs to. `device` says where it was trained, `precision` how exact its products were and
    `processes` how many trained it together; of a run that went on otherwise both, as "cuda:0 (NVIDIA H200), then cpu".
    `machine` is the one that trained it, as `machine.name` has it; empty where an earlier version of the program did.
    `split_seed` is what one file was split with, 0 where the files were split already. `trained_on` are the epochs at
    which it was over and then trained on. `owner` is the visitor of a shared server who started it, "" elsewhere.
    """

    dataset: str
    source: str
    hash: str
    seed: int
    created: str
    versions: dict[str, str]
    study: str | None = None
    split_seed: int = Field(default=0, ge=0)
    device: str = "cpu"
    precision: str = "float32"
    processes: str = "1"
    machine: str = ""
    trained_on: list[int] = Field(default_factory=list)
    owner: str = ""

    @field_validator("created")
    @classmethod
    def _is_time(cls, text: str) -> str:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise ValueError("has no time zone")
        if not 1970 < time.year < 2200:
            raise ValueError("is no time at which a run can have been created")
        return text


FORMAT = 1
"""Which format a run directory has. A later one is whatever this program could not read, or would read wrongly."""


class Format(Record):
    """The format of a run, of which config.json speaks since there are more than one; 1 where it does not."""

    format: int = Field(default=FORMAT, ge=1)


class Stored(Meta):
    """config.json as a whole."""

    config: dict[str, Any]
    format: int = FORMAT


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose content becomes `path` at once when the block ends well; else `path` stays as it was.

    It is on disk before it takes its place, so neither a reader nor a crash ever finds half a file.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace(path: Path, data: bytes) -> None:
    """Make this the content of a file, at once."""
    with replacing(path) as stream:
        stream.write(data)


def appending(path: Path) -> BinaryIO:
    """A file of ours to add to, made where it is not there.

    Raises:
        OSError: it cannot be written, or is a link or a pipe, which would lead elsewhere.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return os.fdopen(descriptor, "ab")


def refuse_link(path: Path) -> None:
    """Raises InputError for a link: what a run writes and removes must be its own."""
    if path.is_symlink():
        raise InputError(f"{path} is a link to elsewhere; a run that goes on holds its files itself")


def to_json(record: Record) -> bytes:
    """The content of a record's file."""
    return (json.dumps(record.model_dump(), allow_nan=False, ensure_ascii=False, indent=1) + "\n").encode()


def read(path: Path, kind: type[R]) -> R:
    """The record in a JSON file; InputError says what is wrong with it."""
    data = bounded.content(path)
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}") from None


def log_id(line: bytes) -> str:
    """Which writing of events.jsonl this first line names; "" for a line that is something else."""
    form = _LOG_LINE_FORM.fullmatch(line)
    return form[1].decode() if form else ""
