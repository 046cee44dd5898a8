"""One run on several processes that torchrun starts: each takes a share of the positives, the first writes the run.

    torchrun --nproc-per-node 2 -m dans_core train --dataset umls

`group` is how the processes speak with each other, `trainer` what each of them does otherwise than alone, `follow` the
loop of those that write nothing. With --shard-entities each holds a part of the entity table only: `partition` says
which, `table` has its rows, `shards` trains on them. Nothing here imports torch before several processes are known to
be there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dans_data.errors import InputError

if TYPE_CHECKING:
    from dans_lab.ranks.group import Ranks


class ProcessLost(InputError):
    """Another process of the run ended or cannot be reached, so this one cannot go on either."""


@contextmanager
def joined(shards: bool = False) -> Iterator[Ranks | None]:
    """The processes of this run where torchrun started several of them, else None.

    When the block ends on the first process, those that wait for its word end as well. For `shards` of the entity table
    one process is as good as several.

    Raises InputError where these are wanted without torchrun.
    """
    by_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    if shards and not by_torchrun:
        raise InputError(
            "--shard-entities shards the entity table over the processes that torchrun starts; say "
            "torchrun --nproc-per-node 2 -m dans_core train … --shard-entities"
        )
    if not by_torchrun or (int(os.environ["WORLD_SIZE"]) < 2 and not shards):
        yield None
        return
    from dans_lab.ranks.group import Ranks

    ranks = Ranks()
    try:
        yield ranks
    finally:
        ranks.close()
