"""The trackers: how each begins a run, is told numbers, and is closed. Their packages are imported when one begins."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

PROJECT = "dans-lab"
"""The experiment or project that runs are put in, where no variable of the tracker names another."""


@dataclass(frozen=True)
class About:
    """What a tracker is told first: the run's name, a key that no other run has, its folder, and its settings."""

    name: str
    key: str
    folder: Path
    settings: dict[str, Any]


class Kind(ABC):
    """A tracker that was begun with a run, from an epoch on."""

    package: ClassVar[str]

    @abstractmethod
    def __init__(self, about: About, epoch: int) -> None: ...

    @abstractmethod
    def log(self, values: dict[str, float], epoch: int) -> None:
        """Numbers of an epoch, by name."""

    @abstractmethod
    def summary(self, values: dict[str, float]) -> None:
        """What the run came to."""

    @abstractmethod
    def close(self, state: str) -> None:
        """Let go of the run, which is "finished", "stopped", "paused" or "failed"."""


class TensorBoard(Kind):
    """Files in the run's folder, which `tensorboard --logdir runs` finds; a run that goes on drops what it repeats."""

    package = "tensorboard"

    def __init__(self, about: About, epoch: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(about.folder / "tensorboard"), purge_step=epoch)
        rows = "".join(f"    {name} = {value}\n" for name, value in about.settings.items())
        self._writer.add_text("settings", rows, epoch)

    def log(self, values: dict[str, float], epoch: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)

    def summary(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"run/{name}", value)

    def close(self, state: str) -> None:
        self._writer.close()


class MLflow(Kind):
    """A run where MLFLOW_TRACKING_URI says, else in MLflow's own place in this folder; found again by a tag."""

    package = "mlflow"

    def __init__(self, about: About, epoch: int) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client = client = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else client.create_experiment(name)
        earlier = client.search_runs([experiment], f"tags.`dans.key` = '{about.key}'", max_results=1)
        if earlier:
            self._run = earlier[0].info.run_id
            client.update_run(self._run, status="RUNNING")
            return
        tags = {"dans.key": about.key, "dans.folder": str(about.folder)}
        self._run = client.create_run(experiment, tags=tags, run_name=about.name).info.run_id
        client.log_batch(
            self._run, params=[Param(name, str(value)[:500]) for name, value in about.settings.items()]
        )

    def log(self, values: dict[str, float], epoch: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(
            self._run, [Metric(name, value, now, epoch) for name, value in values.items()], synchronous=True
        )

    def summary(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._client.log_metric(self._run, f"run/{name}", value)

    def close(self, state: str) -> None:
        states = {"finished": "FINISHED", "failed": "FAILED"}
        self._client.set_terminated(self._run, states.get(state, "KILLED"))


class Wandb(Kind):
    """A run of Weights & Biases: online where one is logged in, else as WANDB_MODE says ("offline" keeps files)."""

    package = "wandb"

    def __init__(self, about: About, epoch: int) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=about.name,
            id=about.key,
            resume="allow",
            config=about.settings,
        )
        self._run.define_metric("epoch")
        self._run.define_metric("*", step_metric="epoch")

    def log(self, values: dict[str, float], epoch: int) -> None:
        self._run.log({**values, "epoch": epoch})

    def summary(self, values: dict[str, float]) -> None:
        self._run.summary.update({f"run/{name}": value for name, value in values.items()})

    def close(self, state: str) -> None:
        self._run.finish(exit_code=int(state == "failed"))


class Trackio(Kind):
    """A run in Trackio's local store (TRACKIO_DIR names another place), which `trackio show` opens."""

    package = "trackio"

    def __init__(self, about: About, epoch: int) -> None:
        import trackio

        self._trackio = trackio
        trackio.init(
            project=os.environ.get("TRACKIO_PROJECT") or PROJECT,
            name=f"{about.name}-{about.key[:6]}",
            config={name: value for name, value in about.settings.items()},
            resume="allow",
            embed=False,
        )

    def log(self, values: dict[str, float], epoch: int) -> None:
        self._trackio.log({**values, "epoch": epoch}, step=epoch)

    def summary(self, values: dict[str, float]) -> None:
        self._trackio.log({f"run/{name}": value for name, value in values.items()})

    def close(self, state: str) -> None:
        self._trackio.finish()


KINDS: dict[str, type[Kind]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": Wandb,
    "trackio": Trackio,
}
