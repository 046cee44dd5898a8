"""Every setting of a run, once: its range, unit, default, and the reason it matters."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from dans_core.declaration import Declaration, setting
from dans_core.declared import DECLARED, import_registered
from dans_core.samplers.baselines import settings as others
from dans_data import complaints
from dans_data.errors import InputError


class Config(BaseModel):
    """All settings of one training run.

    The defaults are a recipe that trains well on small graphs; `dans_lab.presets` has the numbers of the paper and its
    released code. A `Config` cannot be changed; use `with_values` for a changed copy.
    Each field's title, reason, group and unit are in `Config.model_fields`, and the screens read them there;
    `matters` says in which runs it counts.

    Raises:
        pydantic.ValidationError: for an unknown name or a value out of range; `parse` says the same in one sentence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    decoder: Literal["distmult", "complex", "rotate"] = setting(
        "complex",
        "Decoder",
        "How a triplet is scored. DistMult cannot tell head from tail; ComplEx and RotatE can.",
        "model",
    )
    sampler: str = setting(
        "dans",
        "Negatives",
        "Where negatives come from: from a GAN and at random (DANS), at random alone (uniform), or from one of the "
        "methods that DANS is compared with.",
        "model",
    )
    epochs: int = setting(
        300, "Epochs", "Rounds over all training triplets. UMLS levels off near 300.", "training", "epochs",
        ge=1, le=100_000,
    )  # fmt: skip
    seed: int = setting(
        0, "Seed", "The same seed and settings give the same numbers; other seeds show the luck in them.",
        "training", ge=0, le=2**31 - 1,
    )  # fmt: skip

    patience: int = setting(
        0, "Patience",
        "The run ends once its valid ranking has not got better for so many epochs, those of the warm-up not counted. "
        "0: it never ends early.",
        "training", "epochs", ge=0, le=100_000,
    )  # fmt: skip

    dim: int = setting(
        100, "Embedding size", "Numbers per entity. More can hold more, and costs more time.", "model",
        "numbers", ge=2, le=2048, multiple_of=2,
    )  # fmt: skip
    layers: int = setting(
        2, "R-GCN layers", "How many steps away an entity's neighbours still shape its vector.", "model",
        "layers", ge=1, le=4,
    )  # fmt: skip
    bases: int = setting(
        4, "R-GCN bases", "Relations share this many weight matrices; fewer generalise, more separate.",
        "model", "matrices", ge=1, le=64,
    )  # fmt: skip
    dropout: float = setting(
        0.3, "Dropout", "Share of features hidden between the layers, against learning by heart.", "model",
        "share", ge=0.0, lt=1.0,
    )  # fmt: skip
    message_split: float = setting(
        0.5, "Message edges", "Share of training triplets that carry messages in a step, drawn anew each time.",
        "model", "share", gt=0.0, le=1.0,
    )  # fmt: skip
    score_message_edges: bool = setting(
        True, "Score message edges",
        "Whether a triplet may carry messages and be scored in the same step. Off rules out copying the answer, "
        "and scores only the triplets that carry no messages.",
        "model",
    )  # fmt: skip

    negatives: int = setting(
        20, "Negatives per query (N_s)",
        "Where DANS takes fakes as negatives, a quarter comes from G_E, a quarter from G_R and the rest is random.",
        "negatives", "negatives", ge=1, le=1000,
    )  # fmt: skip
    shared: int = setting(
        1, "Share negatives among",
        "This many triplets of a step have the same random negatives, those of a warm-up too. On large graphs "
        "hundreds of negatives then cost little; 1 draws them for each triplet apart.",
        "negatives", "triplets", ge=1, le=100_000,
    )  # fmt: skip
    filter_known: bool = setting(
        False, "Redraw known facts",
        "A random negative that is a fact of train is drawn again, in a warm-up and beside fakes that are negatives, "
        "too.",
        "negatives",
    )  # fmt: skip
    temperature: float = setting(
        1.0, "Temperature",
        "How sharply self-adversarial negatives, and the entities that fakes of DANS propose, are weighted by their "
        "scores; near zero, these count for nothing.",
        "negatives", "", gt=0.0, le=100.0,
    )  # fmt: skip
    popularity_power: float = others.POPULARITY_POWER
    cache_size: int = others.CACHE_SIZE
    cache_fresh: int = others.CACHE_FRESH
    candidates: int = others.CANDIDATES
    generator_dim: int = others.GENERATOR_DIM
    burn_in: int = others.BURN_IN
    hops: int = others.HOPS
    walks: int = others.WALKS
    loss: Literal["bce", "softmax"] = setting(
        "softmax", "Base loss",
        "Softmax makes the answer compete with its negatives; the binary one (bce), the paper's, judges each triplet "
        "alone.",
        "training",
    )  # fmt: skip
    lr: float = setting(
        1e-2, "Learning rate, base", "Step size of the embedding model. Too high jumps, too low crawls.",
        "training", "", gt=0.0, le=1.0,
    )  # fmt: skip
    average: float = setting(
        0.97, "Average the weights",
        "Share of its past that a running average of the base model's weights keeps in each step. Where it is not 0, "
        "the average is what is ranked, kept and shown.",
        "training", "share", ge=0.0, lt=1.0,
    )  # fmt: skip
    l2: float = setting(
        1e-3, "L2 weight", "Pulls embeddings towards zero, against learning by heart.", "training", "",
        ge=0.0, le=10.0,
    )  # fmt: skip
    batch_size: int = setting(
        50_000, "Batch size", "Triplets per step. Graphs up to this size take one step an epoch.", "training",
        "triplets", ge=1, le=1_000_000,
    )  # fmt: skip
    clip_norm: float = setting(
        1.0, "Gradient clip", "Longest gradient allowed in a step, for the base, each pathway and D.",
        "training", "", gt=0.0, le=1000.0,
    )  # fmt: skip

    warmup_epochs: int = setting(
        50, "Warm-up",
        "Epochs of random negatives before the GAN starts, so that it has something to imitate (KBGAN waits too). "
        "Unless set, at most half the epochs.",
        "GAN", "epochs", ge=0, le=100_000,
    )  # fmt: skip
    lr_g: float = setting(
        5e-4, "Learning rate, G",
        "Step size of both pathways, or of KBGAN's generator. Pathways much faster than D outrun it and drift off.",
        "GAN", "", gt=0.0, le=1.0,
    )  # fmt: skip
    lr_d: float = setting(
        5e-4, "Learning rate, D", "Step size of the discriminator. Too fast a D leaves G nothing to learn.",
        "GAN", "", gt=0.0, le=1.0,
    )  # fmt: skip
    k_g: int = setting(
        1, "G steps (k_G)", "Updates of each pathway per step of the base model.", "GAN", "steps",
        ge=0, le=100,
    )  # fmt: skip
    k_d: int = setting(
        1, "D steps (k_D)", "Updates of the discriminator per step of the base model.", "GAN", "steps",
        ge=0, le=100,
    )  # fmt: skip
    pathways: Literal["both", "G_E", "G_R"] = setting(
        "both", "Pathways",
        "One pathway alone makes as many fakes as both would; D_aux then has nothing to tell apart and is off.",
        "GAN",
    )  # fmt: skip
    film: Literal["trained", "frozen", "none"] = setting(
        "trained", "FiLM",
        "Whether each condition's own version of the generator is learned, stays as it began, or does not exist.",
        "GAN",
    )  # fmt: skip
    conditional_d: bool = setting(
        False, "D sees the query",
        "Gives D the query beside the entity, so that it can judge whether the two fit. Not in the paper.", "GAN",
    )  # fmt: skip
    reading: Literal["vectors", "entities"] = setting(
        "entities", "Read fakes as",
        "Vectors: a fake is a negative itself. Entities: a fake proposes the real entities near it; negatives are "
        "drawn from these, and weights make up for the draw.",
        "GAN",
    )  # fmt: skip
    tau: float = setting(
        0.1, "Width of reading (τ)",
        "How far around a fake its proposal reaches. Near zero it is the nearest entity alone.", "GAN", "",
        gt=0.0, le=100.0,
    )  # fmt: skip
    random_share: float = setting(
        0.5, "Random share of proposals",
        "How much of each proposal is spread evenly over all entities, so that every one can be drawn.", "GAN", "share",
        gt=0.0, le=1.0,
    )  # fmt: skip
    play_every: int = setting(
        10, "Play every", "Steps of the base model from one round of the game to the next.", "GAN", "steps",
        ge=1, le=10_000,
    )  # fmt: skip
    random_negatives: bool = setting(
        True, "Random part",
        "Off: all negatives of DANS are generated, half of them by each pathway; only where fakes are negatives.",
        "GAN",
    )  # fmt: skip
    pathway_fakes: int = setting(
        0, "Fakes a pathway",
        "How many of a query's negatives each pathway makes; 0 is a quarter of N_s; only where fakes are negatives. On "
        "large graphs a few fakes beside many random negatives cost less.",
        "GAN", "fakes", ge=0, le=500,
    )  # fmt: skip
    sigma: float = setting(
        0.5, "Noise (σ)",
        "Spread of the noise around each condition. Near zero, all fakes of a condition are copies.", "GAN",
        "", ge=0.0, le=100.0,
    )  # fmt: skip
    sigma_relative: bool = setting(
        False, "Noise relative to spread", "Measure σ in standard deviations of the entity embeddings.", "GAN",
    )  # fmt: skip
    film_weight: float = setting(
        1e-4, "FiLM weight (λ)", "How strongly each condition's generator is held to the global one.", "GAN",
        "", ge=0.0, le=100.0,
    )  # fmt: skip
    adv_weight: float = setting(
        1.0, "Adversarial loss, G", "How much G cares to be taken for real; with 0, D has no say.", "GAN", "",
        ge=0.0, le=100.0,
    )  # fmt: skip
    ce_weight: float = setting(
        1.0, "Cross-entropy, G",
        "How much a proposal cares to lie where the decoder expects answers; only where fakes are read as entities.",
        "GAN", "", ge=0.0, le=100.0,
    )  # fmt: skip
    aux_weight: float = setting(
        0.5, "Pathway loss, D (w_aux)",
        "How much D cares which pathway made a fake; 0 is a D without D_aux.", "GAN", "",
        ge=0.0, le=100.0,
    )  # fmt: skip
    aux_weight_g: float = setting(
        0.0, "Pathway loss, G", "Rewards each pathway for being told apart, as in AC-GAN. The paper has none.",
        "GAN", "", ge=0.0, le=100.0,
    )  # fmt: skip
    condition_chunk: int = setting(
        8192, "Conditions a pass",
        "G makes fakes for this many conditions at a time, and batch norm measures their spread. Small graphs are "
        "one pass; more conditions a pass need more memory.",
        "GAN", "conditions", ge=3, le=1_000_000,
    )  # fmt: skip

    eval_every: int = setting(
        2, "Rank every", "Epochs between two rankings of the valid split; the weights of the best are kept.",
        "record", "epochs", ge=1, le=100_000,
    )  # fmt: skip
    diagnose_every: int = setting(
        10, "Diagnose every", "Epochs between two measurements of the negatives, from which the warnings follow.",
        "record", "epochs", ge=1, le=100_000,
    )  # fmt: skip
    snapshot_every: int = setting(
        25, "Snapshot every", "Epochs between two snapshots for the map; each costs disk space.", "record",
        "epochs", ge=1, le=100_000,
    )  # fmt: skip

    @field_validator("sampler")
    @classmethod
    def _is_declared(cls, name: str) -> str:
        if name not in DECLARED:
            import_registered()
        if name not in DECLARED:
            raise ValueError("must be one of " + ", ".join(DECLARED))
        return name

    @model_validator(mode="after")
    def _fit_together(self) -> Config:
        if "warmup_epochs" not in self.model_fields_set:
            object.__setattr__(self, "warmup_epochs", min(self.warmup_epochs, self.epochs // 2))
        for name, value in self.declaration.defaults.items():
            if name not in self.model_fields_set and matters(name, self.sampler, self.reading):
                object.__setattr__(self, name, value)
        if self.waits and self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs = {self.warmup_epochs} must be below epochs = {self.epochs}, "
                "or the GAN never starts"
            )
        if problem := self.declaration.refuses(self):
            raise ValueError(problem)
        if self.shared > 1 and self.filter_known:
            raise ValueError("shared must be 1 with filter_known, which looks at the facts of each triplet")
        if self.aux_weight_g > 0 and (self.aux_weight == 0 or self.pathways != "both"):
            raise ValueError(
                "aux_weight_g must be 0 without a D_aux to tell the pathways apart, that is with aux_weight = 0 or one "
                "pathway"
            )
        if self.message_split == 1 and not self.score_message_edges:
            raise ValueError(
                "message_split must be below 1 with score_message_edges off, or nothing is scored"
            )
        return self

    def with_values(self, **values: Any) -> Config:
        """A copy with other values, checked again; an unset warm-up follows the new epochs.

        Raises:
            InputError: for an unknown name or a value out of range.
        """
        return parse(self.model_dump(exclude_unset=True) | values)

    def out_of_patience(self, epoch: int, best_epoch: int | None) -> bool:
        """Whether a run ends early at an epoch, where the best valid ranking so far was at `best_epoch`, if at all."""
        since = max(best_epoch or 0, self.warmup_epochs if self.waits else 0)
        return bool(best_epoch) and epoch % self.eval_every == 0 and 0 < self.patience <= epoch - since

    @property
    def declaration(self) -> Declaration:
        """What its sampler says of itself."""
        return DECLARED[self.sampler]

    @property
    def waits(self) -> bool:
        """Whether random negatives stand in for the sampler during the first `warmup_epochs`."""
        return self.declaration.waits

    @property
    def fakes(self) -> dict[str, int]:
        """Generated negatives per query by pathway; the rest of N_s is random (method, section 5).

        Empty for a sampler whose negatives are entities.
        """
        return self.declaration.fakes(self) if self.declaration.fakes else {}

    @property
    def proposes(self) -> bool:
        """Whether its fakes are proposals over entities, and its negatives are drawn from them."""
        return bool(self.fakes) and self.reading == "entities"


def group_of(name: str) -> str:
    """The group that a setting is shown in."""
    extra: Any = Config.model_fields[name].json_schema_extra
    return str(extra["group"])


OF_SAMPLERS = frozenset(name for name in Config.model_fields if group_of(name) in ("negatives", "GAN"))
"""The settings that a sampler declares where it reads them; all others matter to every run."""


def matters(name: str, sampler: str, reading: str = "") -> bool:
    """Whether the setting changes anything in a run with this sampler and reading of fakes ("": either)."""
    if name not in OF_SAMPLERS:
        return True
    declared = DECLARED[sampler]
    return name in declared.settings and (not reading or declared.only_if_read.get(name, reading) == reading)


def choices(name: str) -> tuple[str, ...]:
    """What a setting may be where it is one of several names, else empty."""
    return tuple(DECLARED) if name == "sampler" else get_args(Config.model_fields[name].annotation)


def parse(values: dict[str, Any]) -> Config:
    """The `Config` of these values; numbers may be given as text.

    Raises:
        InputError: in one sentence: which setting, what it was, and what it may be.
    """
    try:
        return Config(**values)
    except ValidationError as error:
        raise InputError(explain(error)) from None


def explain(error: ValidationError) -> str:
    """The first complaint of a failed `Config` as one sentence."""
    return complaints.explain(error, Config.model_fields, choices)
