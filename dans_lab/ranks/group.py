"""How the processes of one run speak with each other: the word of the first, sums over all, and who is missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from dans_core.device import choose
from dans_data.errors import InputError
from dans_lab.ranks import ProcessLost
from dans_lab.runs.process import StopFlag

_LONGEST = 1000
"""Bytes of a complaint that one process tells the others."""

T = TypeVar("T")


class Word(IntEnum):
    """What the first process says to those that wait for its word."""

    OVER = 0
    JOB = 1
    STATE = 2
    STEP = 3
    ALSO = 4


class Ranks:
    """The processes of one run, as seen from one of them.

    What they say goes over gloo, on the CPU. Gradients go over gloo, too, or over NCCL once `use` was given a GPU.

    Attributes:
        rank, count: which process this is, from 0, and how many there are. Process 0 leads: it writes the run, and the
            others do what it says.
        here: how many of them are on this machine.
        stop: the signals to this process; one that any of them heard reaches all.
    """

    def __init__(self) -> None:
        """Meet the others; as torchrun says, in the environment, who and where they are."""
        self.rank, self.count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self.here = int(os.environ["LOCAL_WORLD_SIZE"])
        self.stop = StopFlag()
        self._listened_to = True
        self._of_device: dist.ProcessGroup | None = None
        with lost():
            dist.init_process_group("gloo")

    def place(self, asked: str) -> torch.device:
        """The device of this process for a name as `device.choose` takes it: of GPUs each process has its own.

        Raises InputError for one GPU that is named, and where there are fewer than processes on this machine.
        """
        if ":" in asked:
            raise InputError(
                f"device = {asked!r} is one GPU, but {self.count} processes train this run; "
                "say cuda, and each takes its own"
            )
        place = choose(asked)
        if place.type != "cuda":
            return place
        found = torch.cuda.device_count()
        if self.here > found:
            raise InputError(
                f"{self.here} processes need a GPU each, and this machine has {found}; start {found}, "
                "or say --device cpu"
            )
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))

    def use(self, device: torch.device) -> None:
        """Send what is summed on a GPU from there; asked of all processes at once, with a device of the same kind."""
        if device.type == "cuda":
            torch.cuda.set_device(device)
            with lost():
                self._of_device = dist.new_group(backend="nccl")

    @contextmanager
    def all_do(self, word: Word, content: bytes = b"") -> Iterator[None]:
        """Say this to the others, who wait for it; in the block the first process does the same as they."""
        self._say(word, content)
        # Those who are in the middle of something hear nothing.
        self._listened_to = False
        yield
        self._listened_to = True

    def _say(self, word: Word, content: bytes = b"") -> None:
        with lost():
            dist.broadcast(torch.tensor([word, len(content)]), 0)
            if content:
                dist.broadcast(torch.frombuffer(bytearray(content), dtype=torch.uint8), 0)

    def hear(self) -> tuple[Word, bytes]:
        """The next word of the first process, and what belongs to it."""
        head = torch.empty(2, dtype=torch.long)
        with lost():
            dist.broadcast(head, 0)
            content = torch.empty(int(head[1]), dtype=torch.uint8)
            if len(content):
                dist.broadcast(content, 0)
        return Word(int(head[0])), content.numpy().tobytes()

    def sum_up(self, tensor: Tensor) -> Tensor:
        """The sum of what all processes have here, in its place; the same bits on each."""
        with lost():
            dist.all_reduce(tensor, group=self._of_device if tensor.is_cuda else None)
        return tensor

    def made(self, make: Callable[[], T]) -> T:
        """What `make` gives on this process, once it has on all.

        Raises InputError on all of them where one refuses: the complaint of the first that does.
        """
        complaint, found = b"", None
        try:
            found = make()
        except InputError as error:
            complaint = str(error).encode()[:_LONGEST]
        told = torch.zeros(self.count, _LONGEST, dtype=torch.uint8)
        told[self.rank, : len(complaint)] = (
            torch.frombuffer(bytearray(complaint), dtype=torch.uint8) if complaint else 0
        )
        for rank, row in enumerate(self.sum_up(told)):
            if text := row.numpy().tobytes().rstrip(b"\0").decode(errors="ignore"):
                raise InputError(text if rank == 0 else f"process {rank} of {self.count}: {text}")
        assert found is not None, "what refuses says so"
        return found

    def close(self) -> None:
        """Leave; the first process tells those who wait for its word."""
        if self.rank == 0 and self._listened_to:
            with suppress(ProcessLost):
                self._say(Word.OVER)
        with suppress(RuntimeError):
            dist.destroy_process_group()


@contextmanager
def lost() -> Iterator[None]:
    """What torch raises where another process is gone becomes a sentence."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ProcessLost(
            "another process of this run ended or could not be reached any more, so training stopped; "
            "the run goes on from its last checkpoint when it is resumed"
        ) from error
