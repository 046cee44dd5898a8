"""Importance weights of negatives, on PyKEEN's own way from the sampler into the loss."""

from __future__ import annotations

from typing import Any

import torch
from pykeen.losses import (
    AdversarialLoss,
    CrossEntropyLoss,
    InfoNCELoss,
    Loss,
    MarginPairwiseLoss,
    NoSampleWeightSupportError,
    UnsupportedLabelSmoothingError,
)
from pykeen.triples.weights import LossWeighter
from torch import Tensor

from dans_data.errors import InputError


class ImportanceWeights(LossWeighter):
    """Weights of what a sampler drew last, which PyKEEN asks for as it makes the batch; positives weigh 1."""

    def __init__(self) -> None:
        self._kept: tuple[Tensor, Tensor] | None = None

    def keep(self, negatives: Tensor, weights: Tensor) -> None:
        """Keep the weights (…, K) of negatives (…, K, 3)."""
        self._kept = negatives, weights

    def weight_triples(self, mapped_triples: Tensor) -> Tensor:
        """Triplets of a batch, (B, 3) or (B, K, 3) → their weights (B,) or (B, K)."""
        if self._kept is not None and self._kept[0] is mapped_triples:
            return self._kept[1]
        assert mapped_triples.dim() == 2, "weighed before other negatives are drawn"
        return torch.ones(len(mapped_triples), device=mapped_triples.device)

    def __call__(self, h: Tensor | None, r: Tensor | None, t: Tensor | None) -> Tensor:
        """PyKEEN asks so of triplets that nobody drew, which is not done here."""
        raise TypeError("an importance weight belongs to a draw, not to a triplet")


class WeighedLoss(Loss):
    """One of PyKEEN's losses that takes no weights, with weights w of the negatives; with all w = 1 it is the same.

    - Cross-entropy: log(e^s + Σ_k w_k e^{s_k}) − s, also of InfoNCE's scores.
    - Self-adversarial (NSSA): the weights it gives its negatives become softmax_k(α s_k + log w_k).
    - Margin losses: each pair of a positive and a negative counts w_k times.
    """

    def __init__(self, inner: Loss) -> None:
        super().__init__(reduction=inner.reduction)
        self.inner = inner

    def process_slcwa_scores(
        self,
        positive_scores: Tensor,
        negative_scores: Tensor,
        label_smoothing: float | None = None,
        batch_filter: Tensor | None = None,
        num_entities: int | None = None,
        pos_weights: Tensor | None = None,
        neg_weights: Tensor | None = None,
    ) -> Tensor:
        """The loss of scores (B, 1) and (B, K) with `neg_weights` (B, K); positives weigh 1."""
        if neg_weights is None:
            return self.inner.process_slcwa_scores(
                positive_scores, negative_scores, label_smoothing, batch_filter, num_entities, pos_weights
            )
        if label_smoothing:
            raise UnsupportedLabelSmoothingError(self)
        inner, log_weights = self.inner, neg_weights.log()
        if isinstance(inner, CrossEntropyLoss):
            if isinstance(inner, InfoNCELoss):
                log_weights = log_weights * inner.inverse_softmax_temperature
            return inner.process_slcwa_scores(positive_scores, negative_scores + log_weights)
        if isinstance(inner, AdversarialLoss):
            hard = negative_scores.detach() * inner.inverse_softmax_temperature + log_weights
            # A row in which nothing has a weight has no share.
            share = hard.softmax(-1).nan_to_num(nan=0.0)
            of_negatives = (share * inner.negative_loss_term_unreduced(negative_scores)).sum(-1)
            return inner.factor * (inner.positive_loss_term(positive_scores) + self._reduced(of_negatives))
        assert isinstance(inner, MarginPairwiseLoss), "no other is made"
        apart = inner.margin_activation(negative_scores - positive_scores + inner.margin)
        return self._reduced(neg_weights * apart)

    def _reduced(self, losses: Tensor) -> Tensor:
        return losses.mean() if self.reduction == "mean" else losses.sum()

    def process_lcwa_scores(self, *args: Any, **kwargs: Any) -> Tensor:
        """As without weights."""
        return self.inner.process_lcwa_scores(*args, **kwargs)


def weighed(loss: Loss) -> Loss:
    """A loss as it is where PyKEEN itself weighs it (BCE, softplus, squared error …), else the same with weights.

    Raises InputError for one that nobody weighs.
    """
    one = torch.ones(1, 1)
    try:
        loss.process_slcwa_scores(one, one, num_entities=2, pos_weights=one, neg_weights=one)
        return loss
    except NoSampleWeightSupportError:
        if isinstance(loss, CrossEntropyLoss | AdversarialLoss | MarginPairwiseLoss):
            return WeighedLoss(loss)
    raise InputError(
        f"{type(loss).__name__} takes no weights of negatives; expected another loss with "
        'training_loop="dans", such as crossentropy, nssa, bcewithlogits, softplus or marginranking'
    )
