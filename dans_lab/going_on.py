"""More epochs for a run: whether it can have them, and what a run that had them from the start would have otherwise."""

from __future__ import annotations

from dans_core.config import Config
from dans_data.errors import InputError
from dans_data.words import listed
from dans_lab.budget.recipe import config_for
from dans_lab.health import SETTLED
from dans_lab.runs.records import Status
from dans_lab.runs.run import Run


def ended_early(status: Status) -> bool:
    """Whether a run is over before its last epoch, since its valid ranking got no better."""
    return status.state == "finished" and status.epoch < status.epochs


def config_of(run: Run, epochs: int, patience: int | None = None) -> Config:
    """The settings of a run that goes on to so many epochs in all; with None its patience stays as it is.

    Raises:
        InputError: a recorded run, one of a study, no more epochs than are done, no checkpoint, or one that would end
            at once for want of patience.
    """
    status = run.stored_status
    if run.recorded:
        raise InputError(f"run {run.id} is recorded; it cannot be continued")
    if run.meta.study is not None:
        raise InputError(
            f"run {run.id} belongs to study {run.meta.study}, whose file says how many epochs its runs have"
        )
    values = {"epochs": epochs} | ({} if patience is None else {"patience": patience})
    config = run.config.with_values(**values)
    if epochs <= status.epoch:
        raise InputError(
            f"epochs = {epochs}: run {run.id} has {status.epoch} behind it; expected more, such as "
            f"{status.epoch + 100}"
        )
    if not (run.path / "last.pt").is_file():
        raise InputError(f"run {run.id} has no last.pt to go on from; train a new one of {epochs} epochs")
    if config.out_of_patience(status.epoch, status.best_epoch):
        raise InputError(
            f"run {run.id} would end at once, as its valid ranking got no better for {config.patience} epochs; "
            "to train on, give it more patience, or patience = 0, which never ends it early"
        )
    return config


def differences(run: Run, config: Config, train: int) -> list[str]:
    """What a run of these settings without a break would have otherwise, in sentences; empty where nothing.

    `train` is the number of training triplets. To be asked before the run is queued again.
    """
    before, status = run.config, run.stored_status
    found = []
    if before.waits:
        chosen = before.model_dump(exclude={"warmup_epochs", "epochs"})
        usual, now = (
            config_for(train, {**chosen, "epochs": each.epochs}).warmup_epochs for each in (before, config)
        )
        if before.warmup_epochs == usual != now:
            found.append(
                f"Its warm-up is {usual} epochs; a run of {config.epochs} epochs from the start has {now}, unless told "
                "otherwise."
            )
    if status.state == "finished":
        turns = {
            "ranked": before.eval_every if status.best_epoch else 1,
            "diagnosed": before.diagnose_every,
            "kept as a snapshot": before.snapshot_every,
        }
        if out_of_turn := [what for what, every in turns.items() if status.epoch % every]:
            best = " Its weights may be the best ones." if "ranked" in out_of_turn else ""
            found.append(
                f"Epoch {status.epoch}, where it was over, was {listed(out_of_turn)} out of turn.{best}"
            )
    settled, later = (min(SETTLED, each.epochs // 2) for each in (before, config))
    if settled != later:
        found.append(
            f"A ranking below the floor was warned of from epoch {settled + 1} on, from now on it is from epoch "
            f"{later + 1}."
        )
    return found


def in_words(config: Config, found: list[str]) -> str:
    """What the numbers of a run that was trained on are, given its `differences`."""
    if not found:
        return f"Its numbers will be those of a run of {config.epochs} epochs without a break, bit for bit."
    return f"As a run of {config.epochs} epochs without a break, but for this: {' '.join(found)}"
