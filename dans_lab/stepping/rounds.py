"""How many rounds of the game a run has; without torch, since screens ask."""

from __future__ import annotations

from dans_core.config import Config


def total_rounds(config: Config) -> int:
    """Rounds of the game from the end of the warm-up to the last epoch, where a step is an epoch."""
    return -(-(config.epochs - config.warmup_epochs) // config.play_every)
