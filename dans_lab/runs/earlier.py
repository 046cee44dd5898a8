"""What newer settings were before they existed: what a run or study of an earlier version had and does not say."""

from __future__ import annotations

from typing import Any

EARLIER: dict[str, Any] = {
    "patience": 0,
    "shared": 1,
    "pathway_fakes": 0,
    "average": 0.0,
    "reading": "vectors",
    "tau": 0.1,
    "random_share": 0.5,
    "adv_weight": 1.0,
    "ce_weight": 1.0,
    "play_every": 1,
}
