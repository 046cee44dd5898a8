"""PyKEEN's training loop "dans": that for drawn negatives, in which each weighs by the chance it had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pykeen.models import Model
from pykeen.sampling import negative_sampler_resolver
from pykeen.training import SLCWATrainingLoop

from dans_data.errors import InputError
from dans_lab.pykeen.sampler import DansNegativeSampler
from dans_lab.pykeen.weights import ImportanceWeights, weighed


class DansTrainingLoop(SLCWATrainingLoop):
    """Training on the negatives of DANS with importance weights: the loss is on average that of random negatives.

    Hard negatives come more often and weigh less in return, 1 / (N m) for one of chance m among N entities, so facts
    are pushed down no more than by the basic sampler. The loss is the pipeline's own: those that PyKEEN weighs as they
    are, the cross-entropies, NSSA and the margin losses as `WeighedLoss` says.
    """

    def __init__(
        self,
        model: Model,
        *,
        negative_sampler: Any = None,
        negative_sampler_kwargs: Mapping[str, Any] | None = None,
        loss_weighter: Any = None,
        **kwargs: Any,
    ) -> None:
        """As PyKEEN's own, with `run` or `game` in `negative_sampler_kwargs`.

        Raises InputError for another sampler, for weights of one's own, or for a loss that takes none.
        """
        if negative_sampler is not None:
            given = negative_sampler
            if isinstance(given, str):
                given = negative_sampler_resolver.lookup(given)
            if not (isinstance(given, type) and issubclass(given, DansNegativeSampler)):
                raise InputError(
                    f'training_loop="dans" weighs negatives by the chances that DANS drew them with, not those of '
                    f'{getattr(given, "__name__", type(given).__name__)}; expected negative_sampler="dans"'
                )
        if loss_weighter is not None:
            raise InputError(
                'training_loop="dans" has weights of its own; expected no loss_weighter beside it'
            )
        # A loss that takes none is refused here, not after the data were prepared.
        weighed(model.loss)
        weights = ImportanceWeights()
        super().__init__(
            model=model,
            negative_sampler=negative_sampler or DansNegativeSampler,
            negative_sampler_kwargs={**(negative_sampler_kwargs or {}), "weights": weights},
            loss_weighter=weights,
            **kwargs,
        )

    def train(self, *args: Any, **kwargs: Any) -> list[float] | None:
        """As PyKEEN's; the model has its own loss again when it is over."""
        own = self.model.loss
        self.model.loss = weighed(own)
        try:
            return super().train(*args, **kwargs)
        finally:
            self.model.loss = own
