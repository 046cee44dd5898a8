"""What the one that runs a study and the processes that train for it say to each other, one JSON object a line."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from dans_lab.study.folder import RunRecord


class Order(BaseModel):
    """A run to train ("train"), or settings of which to say how long a run takes ("time")."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    kind: Literal["train", "time"]
    run: str
    config: dict[str, Any]
    study: str
    source: str
    root: str


class Reply(BaseModel):
    """What came of an order: a record and the seconds it took, the seconds a run will take, or why there is neither.

    `stopped` means that it was stopped, `error` says in words what went wrong.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    run: str
    record: RunRecord | None = None
    seconds: float | None = None
    stopped: bool = False
    error: str = ""
