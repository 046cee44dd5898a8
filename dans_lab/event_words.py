"""What is said of the numbers in events: curves and tables of screens and reports are made from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Told:
    """What is said of a field of an event.

    title, about      what it is called, and what it is
    form              how its number reads, as in `format`; "%" for a share
    random, positive  the fields of `Diagnostics` with the same of random negatives, and of true answers
    """

    title: str
    form: str = ".2f"
    random: str = ""
    positive: str = ""
    about: str = ""


LOSSES = {
    "base": Told(
        "Base model loss",
        about="How well the embedding model tells true triplets from the negatives of this epoch. Harder negatives "
        "raise it, so a higher loss need not mean a worse model: look at the ranking.",
    ),
    "g_e": Told(
        "G_E, generator loss",
        about="L_G of the entity-wise pathway, which makes fakes from the head alone; with the cross-entropy of its "
        "proposals where fakes are read as entities.",
    ),
    "g_r": Told(
        "G_R, generator loss",
        about="L_G of the relation-wise pathway, which makes fakes from head and relation; with the cross-entropy of "
        "its proposals where fakes are read as entities.",
    ),
    "d_adv": Told("D_adv, discriminator loss", about="The head of D that tells real entities from fakes."),
    "d_aux": Told("D_aux, discriminator loss", about="The head of D that tells which pathway made a fake."),
}
"""The losses that are drawn over the epochs, fields of `Losses`."""

SAMPLED = {
    "outscores_random": Told("outscores a random negative", "%"),
    "outscores_positive": Told("outscores the positive", "%", "random_outscores_positive"),
    "false_negatives": Told("nearest entity is a known fact", "%", "random_false_negatives"),
    "mean_score": Told("score, mean", ".2f", "random_score", "positive_score"),
    "scores": Told("score", ".2f", "random_scores", "positive_scores"),
    "hardness": Told("against the positive", "+.2f", "random_hardness"),
}
"""The fields of `SampledHealth`."""

PATHWAY = SAMPLED | {
    "effective_rank": Told("effective rank", ".1f"),
    "distinct_nearest": Told("nearest entities, different", ",.0f"),
    "effective_nearest": Told("nearest entities, in even use", ".1f"),
    "mean_cosine": Told("mean cosine of two fakes"),
    "copy_spread": Told("copy spread", ".3f"),
    "scale": Told("length against an entity"),
    "between_heads": Told("between heads"),
    "between_heads_neutral": Told("between heads, without FiLM"),
    "between_relations": Told("between relations"),
    "between_relations_neutral": Told("between relations, without FiLM"),
    "proposed_entities": Told("proposed entities, in even use", ".1f"),
    "proposed_kl": Told("proposal, KL from the decoder", ".2f", "random_kl"),
    "proposed_facts": Told("proposed, known facts", "%"),
    "proposed_beats": Told("proposed, outscores other entities", "%"),
    "proposed_adds": Told("proposal, what it adds (KL)", "+.3f"),
    "conditions": Told("conditions looked at", ",.0f"),
}
"""The fields of `PathwayHealth`, in their order."""
