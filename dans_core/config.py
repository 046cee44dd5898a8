"""Every setting of a run, once: its range, unit, default, and the reason it matters."""

from __future__ import annotations

import difflib
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dans_core.errors import InputError


def _setting(default: Any, title: str, why: str, group: str, unit: str = "", **bounds: Any) -> Any:
    return Field(
        default, title=title, description=why, json_schema_extra={"group": group, "unit": unit}, **bounds
    )


class Config(BaseModel):
    """All settings of one training run.

    The defaults are a recipe that trains well on small graphs; `PRESETS["paper"]` holds the numbers of
    the paper and its released code. A `Config` cannot be changed; use `with_values` for a changed copy.
    Each field's title, reason, group and unit are in `Config.model_fields`, and the screens read them there.

    Raises
    ------
    pydantic.ValidationError
        for an unknown name or a value out of range; `parse` says the same in one sentence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    decoder: Literal["distmult", "complex", "rotate"] = _setting(
        "complex",
        "Decoder",
        "How a triplet is scored. DistMult cannot tell head from tail; ComplEx and RotatE can.",
        "model",
    )
    sampler: Literal["dans", "uniform"] = _setting(
        "dans",
        "Negatives",
        "Where negatives come from: the GAN plus random ones (DANS), or random entities only (uniform).",
        "model",
    )
    epochs: int = _setting(
        300, "Epochs", "Rounds over all training triplets. UMLS levels off near 300.", "training", "epochs",
        ge=1, le=100_000,
    )  # fmt: skip
    seed: int = _setting(
        0, "Seed", "The same seed and settings give the same numbers; other seeds show the luck in them.",
        "training", ge=0, le=2**31 - 1,
    )  # fmt: skip

    dim: int = _setting(
        100, "Embedding size", "Numbers per entity. More can hold more, and costs more time.", "model",
        "numbers", ge=2, le=2048, multiple_of=2,
    )  # fmt: skip
    layers: int = _setting(
        2, "R-GCN layers", "How many steps away an entity's neighbours still shape its vector.", "model",
        "layers", ge=1, le=4,
    )  # fmt: skip
    bases: int = _setting(
        4, "R-GCN bases", "Relations share this many weight matrices; fewer generalise, more separate.",
        "model", "matrices", ge=1, le=64,
    )  # fmt: skip
    dropout: float = _setting(
        0.2, "Dropout", "Share of features hidden between the layers, against learning by heart.", "model",
        "share", ge=0.0, lt=1.0,
    )  # fmt: skip
    message_split: float = _setting(
        0.5, "Message edges", "Share of training triplets that carry messages in a step, drawn anew each time.",
        "model", "share", gt=0.0, le=1.0,
    )  # fmt: skip
    score_message_edges: bool = _setting(
        True, "Score message edges",
        "Whether a triplet may carry messages and be scored in the same step. Off rules out copying the answer, "
        "and scores only the triplets that carry no messages.",
        "model",
    )  # fmt: skip

    negatives: int = _setting(
        20, "Negatives per query (N_s)",
        "With DANS a quarter comes from G_E, a quarter from G_R and the rest is random.", "negatives",
        "negatives", ge=1, le=1000,
    )  # fmt: skip
    loss: Literal["bce", "softmax"] = _setting(
        "bce", "Base loss",
        "bce judges each triplet alone; softmax makes the answer compete with its negatives.", "training",
    )  # fmt: skip
    lr: float = _setting(
        1e-2, "Learning rate, base", "Step size of the embedding model. Too high jumps, too low crawls.",
        "training", "", gt=0.0, le=1.0,
    )  # fmt: skip
    l2: float = _setting(
        1e-3, "L2 weight", "Pulls embeddings towards zero, against learning by heart.", "training", "",
        ge=0.0, le=10.0,
    )  # fmt: skip
    batch_size: int = _setting(
        50_000, "Batch size", "Triplets per step. Graphs up to this size take one step an epoch.", "training",
        "triplets", ge=1, le=1_000_000,
    )  # fmt: skip
    clip_norm: float = _setting(
        1.0, "Gradient clip", "Longest gradient allowed in a step, for the base, each pathway and D.",
        "training", "", gt=0.0, le=1000.0,
    )  # fmt: skip

    warmup_epochs: int = _setting(
        50, "Warm-up",
        "Epochs of random negatives before the GAN starts, so that it has something to imitate. "
        "Unless set, at most half the epochs.",
        "GAN", "epochs", ge=0, le=100_000,
    )  # fmt: skip
    lr_g: float = _setting(
        5e-4, "Learning rate, G", "Step size of both pathways. Much faster than D, they outrun it and drift off.",
        "GAN", "", gt=0.0, le=1.0,
    )  # fmt: skip
    lr_d: float = _setting(
        5e-4, "Learning rate, D", "Step size of the discriminator. Too fast a D leaves G nothing to learn.",
        "GAN", "", gt=0.0, le=1.0,
    )  # fmt: skip
    k_g: int = _setting(
        1, "G steps (k_G)", "Updates of each pathway per step of the base model.", "GAN", "steps", ge=0, le=100,
    )  # fmt: skip
    k_d: int = _setting(
        1, "D steps (k_D)", "Updates of the discriminator per step of the base model.", "GAN", "steps",
        ge=0, le=100,
    )  # fmt: skip
    sigma: float = _setting(
        0.5, "Noise (σ)",
        "Spread of the noise around each condition. Near zero, all fakes of a condition are copies.", "GAN",
        "", ge=0.0, le=100.0,
    )  # fmt: skip
    sigma_relative: bool = _setting(
        False, "Noise relative to spread", "Measure σ in standard deviations of the entity embeddings.", "GAN",
    )  # fmt: skip
    film_weight: float = _setting(
        1e-4, "FiLM weight (λ)", "How strongly each condition's generator is held to the global one.", "GAN",
        "", ge=0.0, le=100.0,
    )  # fmt: skip
    aux_weight: float = _setting(
        0.5, "Pathway loss, D (w_aux)", "How much D cares which pathway made a fake.", "GAN", "", ge=0.0,
        le=100.0,
    )  # fmt: skip
    aux_weight_g: float = _setting(
        0.0, "Pathway loss, G", "Rewards each pathway for being told apart, as in AC-GAN. The paper has none.",
        "GAN", "", ge=0.0, le=100.0,
    )  # fmt: skip
    condition_chunk: int = _setting(
        8192, "Conditions a pass",
        "G makes fakes for this many conditions at a time, and batch norm measures their spread. Small graphs are "
        "one pass; more conditions a pass need more memory.",
        "GAN", "conditions", ge=3, le=1_000_000,
    )  # fmt: skip

    eval_every: int = _setting(
        2, "Rank every", "Epochs between two rankings of the valid split; the weights of the best are kept.",
        "record", "epochs", ge=1, le=100_000,
    )  # fmt: skip
    diagnose_every: int = _setting(
        10, "Diagnose every", "Epochs between two measurements of the negatives, from which the warnings follow.",
        "record", "epochs", ge=1, le=100_000,
    )  # fmt: skip
    snapshot_every: int = _setting(
        25, "Snapshot every", "Epochs between two snapshots for the map; each costs disk space.", "record",
        "epochs", ge=1, le=100_000,
    )  # fmt: skip

    @model_validator(mode="after")
    def _fit_together(self) -> Config:
        if "warmup_epochs" not in self.model_fields_set:
            object.__setattr__(self, "warmup_epochs", min(self.warmup_epochs, self.epochs // 2))
        if self.sampler == "dans" and self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs = {self.warmup_epochs} must be below epochs = {self.epochs}, "
                "or the GAN never starts"
            )
        if self.sampler == "dans" and self.negatives < 4:
            raise ValueError(
                f"negatives = {self.negatives} must be at least 4 with sampler = dans, which makes a quarter of them "
                "by each pathway"
            )
        if self.message_split == 1 and not self.score_message_edges:
            raise ValueError(
                "message_split must be below 1 with score_message_edges off, or nothing is scored"
            )
        return self

    def with_values(self, **values: Any) -> Config:
        """A copy with other values, checked again; an unset warm-up follows the new epochs.

        Raises
        ------
        InputError
            for an unknown name or a value out of range.
        """
        return parse(self.model_dump(exclude_unset=True) | values)

    @property
    def per_pathway(self) -> int:
        """Negatives per query from each pathway: N_s // 4 (method, section 5)."""
        return self.negatives // 4 if self.sampler == "dans" else 0


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        "decoder": "distmult",
        "epochs": 5000,
        "batch_size": 1000,
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
}


def parse(values: dict[str, Any]) -> Config:
    """The `Config` of these values; numbers may be given as text.

    Raises
    ------
    InputError
        in one sentence: which setting, what it was, and what it may be.
    """
    try:
        return Config(**values)
    except ValidationError as error:
        raise InputError(explain(error)) from None


def explain(error: ValidationError) -> str:
    """The first complaint of a failed `Config` as one sentence."""
    first = error.errors(include_url=False)[0]
    if not first["loc"]:
        return str(first["ctx"]["error"]) if "ctx" in first else first["msg"]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, Config.model_fields, n=1)
        hint = (
            f"; did you mean {close[0]!r}?"
            if close
            else "; the settings are " + ", ".join(Config.model_fields)
        )
        return f"there is no setting {name!r}{hint}"
    return f"{name} = {first['input']!r}: {_expected(name)}"


def _expected(name: str) -> str:
    """What the setting may be, from its annotation and bounds."""
    field = Config.model_fields[name]
    if choices := get_args(field.annotation):
        return "must be one of " + ", ".join(choices)
    words = {int: "a whole number", float: "a number", bool: "true or false"}
    phrases = {
        "ge": "at least",
        "gt": "above",
        "le": "at most",
        "lt": "below",
        "multiple_of": "a multiple of",
    }
    limits = [
        f"{phrase} {f'{value:,}' if isinstance(value, int) else f'{value:g}'}"
        for bound in field.metadata
        for attribute, phrase in phrases.items()
        if (value := getattr(bound, attribute, None)) is not None
    ]
    kind = next(text for type_, text in words.items() if field.annotation is type_)
    return f"must be {kind}" + "".join(f", {limit}" for limit in limits)
