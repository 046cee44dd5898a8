"""Settings that belong together, by name: how the paper uses fakes, its numbers, and the faults of the code."""

from __future__ import annotations

from typing import Any

_FAKES_AS_NEGATIVES: dict[str, Any] = {
    "loss": "bce",
    "dropout": 0.2,
    "average": 0.0,
    "reading": "vectors",
    "play_every": 1,
}

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "fakes-as-negatives": _FAKES_AS_NEGATIVES,
    "paper": _FAKES_AS_NEGATIVES
    | {
        "decoder": "distmult",
        "epochs": 5000,
        "batch_size": 1000,
        "negatives": 20,
        "shared": 1,
        "pathway_fakes": 0,
        "lr": 1e-3,
        "l2": 1e-2,
        "lr_g": 1e-3,
        "lr_d": 1e-4,
        "sigma": 0.01,
        "k_d": 10,
        "eval_every": 50,
        "diagnose_every": 50,
        "snapshot_every": 500,
    },
    "released-faults": _FAKES_AS_NEGATIVES | {"pathways": "G_R", "film": "frozen", "aux_weight": 0.0},
}
