"""Weights from the warm-up: whether a run's own sampler had a part in them yet, and what is said where it had none."""

from __future__ import annotations

from dans_core.config import Config
from dans_lab.runs.run import Run, Which


def unmet(config: Config, epoch: int | None) -> bool:
    """Whether weights of this epoch were trained in the warm-up alone, by random negatives; False for no epoch."""
    return epoch is not None and config.waits and epoch <= config.warmup_epochs


def unmet_of(run: Run, which: Which) -> bool:
    """The same of the best or the last weights of a run, by its status."""
    return unmet(run.config, _epoch(run, which))


def partner(config: Config) -> str:
    """Whom such weights have not met: the GAN, or another sampler that waits, by its title."""
    return "the GAN" if config.fakes else config.declaration.title


def told(config: Config, epoch: int | None) -> str:
    """What such weights are, in one sentence; "" of all others."""
    if epoch is None or not unmet(config, epoch):
        return ""
    return (
        f"Epoch {epoch:,} lies in the warm-up, which lasts to epoch {config.warmup_epochs:,}: these weights have not "
        f"met {partner(config)} yet, and random negatives alone made them."
    )


def told_of(run: Run, which: Which) -> str:
    """The same of the best or the last weights of a run, by its status."""
    return told(run.config, _epoch(run, which))


def withheld(name: str, run: Run, which: Which) -> str:
    """Why such weights of a run, called `name`, cannot be compared, as a clause; "" of all others."""
    if not unmet_of(run, which):
        return ""
    way = "compare the last epochs or train longer" if which == "best" else "train longer"
    return (
        f"the {which} epoch of {name} lies in the warm-up: these weights have not met "
        f"{partner(run.config)} yet; {way}"
    )


def _epoch(run: Run, which: Which) -> int | None:
    status = run.stored_status
    return status.best_epoch if which == "best" else status.epoch
