"""One run on several processes that torchrun starts: each takes a share of the positives, the first writes the run.

    torchrun --nproc-per-node 2 -m dans_core train --dataset umls

`group` is how the processes speak with each other, `trainer` what each of them does otherwise than alone, `follow` the
loop of those that write nothing. Nothing here imports torch before several processes are known to be there.
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
def joined() -> Iterator[Ranks | None]:
    """The processes of this run where torchrun started several of them, else None.

    When the block ends on the first process, those that wait for its word end as well.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or int(os.environ["WORLD_SIZE"]) < 2:
        yield None
        return
    from dans_lab.ranks.group import Ranks

    ranks = Ranks()
    try:
        yield ranks
    finally:
        ranks.close()
