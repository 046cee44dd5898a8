"""What a sampler says of itself: its name, the settings it reads, whether it makes fakes, and what it costs.

It stands in the sampler's own file, as the statement `DECLARATION = Declaration(…)`, which `declared` reads without
importing the file, since a screen should not wait for torch in order to list the samplers. So the statement may name
nothing but the two classes here and functions of its file, which name nothing but their arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import Field

if TYPE_CHECKING:
    from dans_core.config import Config


@dataclass(frozen=True)
class Work:
    """How much there is of what a cost may depend on, in a graph and in one step of training on it.

    Attributes:
        entities, relations: N and |R|, without the reciprocals. train: triplets.
        queries: distinct ones, both directions.
        near: pairs of an entity and one within `hops` edges of it in train.
        pairs, asked, heads: pairs, distinct queries and distinct heads of a step.
    """

    entities: int
    relations: int
    train: int
    queries: int
    near: float
    pairs: float
    asked: float
    heads: float


Amount = Callable[["Config", Work], float]


def _nothing(config: Config, work: Work) -> float:
    return 0.0


@dataclass(frozen=True)
class Cost:
    """What a sampler adds to a run with uniform negatives, as *measured* on one core of one machine, in float32.

    Attributes:
        draw: seconds of a draw beyond a uniform one, where a table of all scores is made, and elsewhere.
        draws: draws in a step; unless said, N_s for each pair. scored: entities scored in a step without a table.
        step: seconds of a step beside its draws. begin: how many steps more than one it takes when first asked.
        step_bytes, kept_bytes, begin_bytes: held within a step, from step to step, and only to begin.
        before_bytes: held only while it is trained, before there is anything of the base model's batch.
        weights: numbers in networks that are kept with those of the model. saved: numbers of its own in a checkpoint.
    """

    draw: tuple[float, float] = (0.0, 0.0)
    draws: Amount = lambda config, work: work.pairs * config.negatives
    scored: Amount = _nothing
    step: Amount = _nothing
    begin: Amount = _nothing
    step_bytes: Amount = _nothing
    before_bytes: Amount = _nothing
    kept_bytes: Amount = _nothing
    begin_bytes: Amount = _nothing
    weights: Amount = _nothing
    saved: Amount = _nothing


@dataclass(frozen=True)
class Declaration:
    """A sampler as settings, screens, studies and estimates know it.

    Attributes:
        name: in settings, run names and files. title: for people. about: what it is, in one sentence.
        settings: those of the groups "negatives" and "GAN" that change anything in its runs.
        only_if_read: those of them that do so with one reading of fakes alone (`Config.reading`), and with which.
        chooses: whether it chooses entities of its own, to be shown beside random ones.
        shares: whether triplets of a step may share its negatives (`Config.shared`).
        why_no_fakes: one sentence; unless said, that its negatives are entities.
        fakes: how many of a query's N_s each pathway makes; None for a sampler whose negatives are entities.
        defaults: settings that are others than usual unless they are set, where they change anything.
        refuses: why it cannot be trained with these settings, in one sentence; "" if it can.
    """

    name: str
    title: str
    about: str
    settings: tuple[str, ...] = ("negatives",)
    only_if_read: Mapping[str, str] = field(default_factory=dict)
    chooses: bool = True
    shares: bool = False
    why_no_fakes: str = ""
    fakes: Callable[[Config], dict[str, int]] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    refuses: Callable[[Config], str] = lambda config: ""
    cost: Cost = Cost()

    @property
    def draws(self) -> bool:
        """Whether it draws N_s negatives for a query; else every entity but the answer is one."""
        return "negatives" in self.settings

    @property
    def filters(self) -> bool:
        """Whether it can draw known facts anew (`Config.filter_known`)."""
        return "filter_known" in self.settings

    @property
    def waits(self) -> bool:
        """Whether random negatives stand in for it during the warm-up."""
        return "warmup_epochs" in self.settings

    @property
    def no_fakes(self) -> str:
        """Why there are no fakes to be seen, in one sentence; for a sampler that makes none."""
        return self.why_no_fakes or f"The negatives of {self.title} are entities, so there are no fakes."


def setting(
    default: Any,
    title: str,
    why: str,
    group: str,
    unit: str = "",
    **bounds: Any,
) -> Any:
    """A field of `Config`: its default, what it is called, why it matters, its group, its unit, and its bounds."""
    return Field(
        default, title=title, description=why, json_schema_extra={"group": group, "unit": unit}, **bounds
    )
