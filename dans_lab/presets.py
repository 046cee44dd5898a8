"""Settings that belong together, by name: the numbers of the paper, and the faults of its released code."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        "decoder": "distmult",
        "epochs": 5000,
        "batch_size": 1000,
        "negatives": 20,
        "shared": 1,
        "pathway_fakes": 0,
        "loss": "bce",
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
    "released-faults": {"pathways": "G_R", "film": "frozen", "aux_weight": 0.0},
}
