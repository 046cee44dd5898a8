"""The entity table cut by rows: those of one process with Adam's moments, their way to the others, and to the disk."""

from __future__ import annotations

import math
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard

from dans_data.errors import InputError
from dans_data.known import Ids
from dans_data.triplets import printable
from dans_lab.ranks.group import Ranks, lost
from dans_lab.ranks.partition import Part, cuts_of

_BLOCK = 1024
"""Rows of the table that have their first values from one source, whichever process they lie on."""


_CHECKPOINT = "torch.distributed.checkpoint."
_HARMLESS = {
    *(f"{_CHECKPOINT}metadata.{name}" for name in (
        "ChunkStorageMetadata", "Metadata", "MetadataIndex", "StorageMeta", "TensorProperties", "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    )),
    f"{_CHECKPOINT}filesystem._StorageInfo",
    *("pathlib.PosixPath", "torch.Size", "torch.float32", "torch.float64", "torch.serialization._get_layout"),
}  # fmt: skip
"""What the index of a checkpoint is made of."""


class Table:
    """The rows of the entity table that lie on this process, and the ways between them and what a step needs.

    Attributes:
        rows: (O, dim), what is trained here; `average` is its running average, or None; `best` is what gave the best
            valid ranking.
        optimizer: Adam on `rows`, so the moments lie where the rows do.
    """

    def __init__(self, part: Part, order: Ids, dim: int, lr: float, averaged: bool, seed: int) -> None:
        """Without the others yet; `meet` finds them. `order`: the entity ids (N,) in the order of the table."""
        self._part, self._order, self._seed = part, order, seed
        self._shape = len(order), dim
        self._lr, self._averaged = lr, averaged
        self.average: Tensor | None = None
        self.best: Tensor | None = None

    def meet(self, others: Ranks) -> None:
        """Make the rows, and tell each other which rows each needs of whom. Asked of all processes at once."""
        self._others = others
        cuts = cuts_of(self._shape[0], others.count)
        first, end = int(cuts[others.rank]), int(cuts[others.rank + 1])
        self.rows = nn.Parameter(_first_values(*self._shape, first, end, self._seed))
        self.average = self.rows.detach().clone() if self._averaged else None
        self.optimizer = torch.optim.Adam([self.rows], lr=self._lr, fused=True)
        self._most = int(np.diff(cuts).max())
        place = np.empty(self._shape[0], dtype=np.int64)
        place[self._order] = np.arange(self._shape[0])
        wanted = place[self._part.entities]
        home = np.searchsorted(cuts, wanted, side="right") - 1
        by_home = np.argsort(home, kind="stable")
        self._taken = torch.from_numpy(by_home)
        asked = torch.from_numpy((wanted - cuts[home])[by_home])
        self._takes = np.bincount(home, minlength=others.count).tolist()
        counts = torch.empty(others.count, dtype=torch.long)
        with lost():
            dist.all_to_all_single(counts, torch.tensor(self._takes))
            self._gives: list[int] = counts.tolist()
            self._given = torch.empty(sum(self._gives), dtype=torch.long)
            dist.all_to_all_single(self._given, asked, self._gives, self._takes)
            self._mesh = DeviceMesh("cpu", list(range(others.count)))

    @torch.no_grad()
    def pull(self, rows: Tensor, out: Tensor) -> None:
        """Of everyone's rows (O, dim) those of the part's entities, into (V, dim)."""
        arrived = torch.empty_like(out)
        with lost():
            dist.all_to_all_single(arrived, rows.detach()[self._given], self._takes, self._gives)
        out[self._taken] = arrived

    @torch.no_grad()
    def push(self, gradients: Tensor) -> Tensor:
        """The way back: of everyone's gradients (V, dim) the sums for the rows here, (O, dim)."""
        arrived = gradients.new_empty(len(self._given), gradients.shape[1])
        with lost():
            dist.all_to_all_single(arrived, gradients[self._taken], self._gives, self._takes)
        return torch.zeros_like(self.rows).index_add_(0, self._given, arrived)

    @property
    def bytes_held(self) -> int:
        """Bytes of the rows here, their gradient, Adam's moments and the average."""
        moments = [self.optimizer.state[self.rows].get(name) for name in ("exp_avg", "exp_avg_sq")]
        held = [value for value in (self.rows, self.rows.grad, self.average, *moments) if value is not None]
        return sum(value.numel() * value.element_size() for value in held)

    @property
    def bytes_sent(self) -> int:
        """Bytes that this process gives to others in a step: rows that they need, and gradients of theirs."""
        rank, size = self._others.rank, self.rows.element_size() * self._shape[1]
        return size * (sum(self._gives) - self._gives[rank] + sum(self._takes) - self._takes[rank])

    def shown(self) -> Tensor:
        """The rows that are ranked: the average where there is one."""
        return self.rows.detach() if self.average is None else self.average

    def keep_best(self) -> None:
        """Keep the rows of now as those of the best ranking."""
        self.best = self.shown().clone()

    def whole(self, rows: Tensor) -> Tensor | None:
        """All rows (N, dim) by entity on the first process, else None. Asked of all at once."""
        filled = rows.new_zeros(self._most, self._shape[1])
        filled[: len(rows)] = rows
        parts = (
            [torch.empty_like(filled) for _ in range(self._others.count)] if not self._others.rank else None
        )
        with lost():
            dist.gather(filled, parts)
        if parts is None:
            return None
        found = rows.new_empty(self._shape)
        found[torch.from_numpy(self._order)] = torch.cat(parts)[: self._shape[0]]
        return found

    def save(self, folder: Path) -> dict[str, Any]:
        """Write what each process has into a folder, by torch's distributed checkpoints; what is to be known of it.

        Raises OSError, on all processes, where the disk of one refuses.
        """
        state = self.optimizer.state[self.rows]
        kept = {
            "rows": self.rows.detach(),
            "average": self.average,
            "best": self.best,
            "exp_avg": state.get("exp_avg"),
            "exp_avg_sq": state.get("exp_avg_sq"),
        }
        there = {name: self._placed(value) for name, value in kept.items() if value is not None}
        if not self._others.rank:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            with lost():
                dist.barrier()
                save(there, storage_writer=FileSystemWriter(folder))
        except CheckpointException as error:
            raise _of_the_disk(error, folder) from error
        return {"parts": sorted(there), "step": float(state["step"]) if state else 0.0}

    def load(self, folder: Path, told: dict[str, Any]) -> None:
        """Take up what `save` wrote on however many processes, and told.

        Raises InputError where the folder is damaged or of another graph.
        """
        there = {name: torch.zeros_like(self.rows.detach()) for name in told["parts"]}
        try:
            with lost():
                load(
                    {name: self._placed(value) for name, value in there.items()},
                    storage_reader=_Reader(folder),
                )
        # A checkpoint of other shapes or with parts missing fails in many ways, deep inside torch, and on all.
        except CheckpointException as error:
            causes = [str(cause[0]) for cause in error.failures.values()]
            raise InputError(
                f"{folder} is damaged, or not the entity table of this run ({printable(causes[0], 200)})"
            ) from error
        with torch.no_grad():
            self.rows.copy_(there["rows"])
        self.average, self.best = there.get("average"), there.get("best")
        if "exp_avg" in there:
            moments = {name: there[name] for name in ("exp_avg", "exp_avg_sq")}
            self.optimizer.state[self.rows] = {"step": torch.tensor(told["step"]), **moments}

    def _placed(self, rows: Tensor) -> DTensor:
        size = torch.Size(self._shape)
        return DTensor.from_local(
            rows, self._mesh, [Shard(0)], run_check=False, shape=size, stride=(self._shape[1], 1)
        )


def _of_the_disk(error: CheckpointException, folder: Path) -> OSError:
    """What the disk of some process said; torch has it among what all of them said."""
    for cause, *_ in error.failures.values():
        if isinstance(cause, OSError):
            return cause
    return OSError(None, str(next(iter(error.failures.values()))[0]), str(folder))


def _first_values(size: int, dim: int, first: int, end: int, seed: int) -> Tensor:
    """Rows first … end − 1 of a table as it begins, as wide as `Model` begins; the same however it is cut."""
    std = math.sqrt(2 / (size + dim))
    found = []
    for block in range(first // _BLOCK, -(-end // _BLOCK)):
        of_block = int(np.random.SeedSequence([seed, block]).generate_state(1)[0])
        drawn = torch.randn(_BLOCK, dim, generator=torch.Generator().manual_seed(of_block))
        begin = block * _BLOCK
        found.append(drawn[max(first - begin, 0) : end - begin].to(torch.get_default_dtype()))
    return torch.cat(found) * std


class _Reader(FileSystemReader):
    """Reads a checkpoint whose index, a pickle, may name nothing but what indices are made of."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """The index. Raises pickle.UnpicklingError for what is none."""
        with self.fs.create_stream(self._get_metadata_path(kwargs.get("rank")), "rb") as file:
            found = _Unpickler(file).load()
        found.storage_meta.load_id = self.load_id
        return found


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in _HARMLESS:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)
