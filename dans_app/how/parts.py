"""The parts of the drawing: what each is, in which run it exists, its settings, its lines, its place in the cycle."""

from __future__ import annotations

from dataclasses import dataclass

from dans_app.shared import curves, theme
from dans_app.shared.theme import Look
from dans_core.config import Config, matters
from dans_core.declared import HOMES

STAGES = ("encode", "G_E", "G_R", "D", "base")
"""The stages of an iteration, in the order of `Trainer.stages`."""

_DECODERS = {"distmult": "DistMult", "complex": "ComplEx", "rotate": "RotatE"}
"""The class of each decoder."""


@dataclass(frozen=True)
class Part:
    """A part of the drawing.

    name      as in the address
    short     its title where there is little room, "" for the same
    says      what it is or does, in a sentence
    stages    the stages of an iteration that it takes part in
    settings  those that act on it, by their names in `Config`
    code      what `code` is asked for
    look      its colour, None where it has that of the text
    absent    why a run does not have it, in a sentence; "" where it does
    """

    name: str
    title: str
    says: str
    stages: tuple[str, ...]
    settings: tuple[str, ...]
    code: tuple[str, ...]
    look: Look | None = None
    absent: str = ""
    short: str = ""


ELSEWHERE: dict[str, dict[str, dict[str, str]]] = {
    "triplet": {"Data": {}, "Step": {}},
    "encoder": {"Map": {}, "Step": {}},
    "decoder": {"Triplet": {}, "Step": {}},
    "noise": {"Diagnostics": {}, "Step": {}},
    "film": {"Diagnostics": {}, "Step": {}},
    "g_e": {"Map": {}, "Triplet": {}, "Step": {"stop": "G_E"}},
    "g_r": {"Map": {}, "Triplet": {}, "Step": {"stop": "G_R"}},
    "d": {"Map": {"field": "on"}, "Real or generated": {}},
    "d_adv": {"Map": {"colour": "d_adv"}, "Real or generated": {}, "Step": {"stop": "D"}},
    "d_aux": {"Map": {"colour": "d_aux"}, "Real or generated": {}, "Step": {"stop": "D"}},
    "l_d": {"Train": {}, "Step": {"stop": "D"}},
    "l_g": {"Train": {}, "Step": {}},
    "reading": {"Triplet": {}, "Diagnostics": {}},
    "random": {"Triplet": {}, "Diagnostics": {}},
    "negatives": {"Triplet": {}, "Diagnostics": {}},
    "base_loss": {"Train": {}, "Step": {"stop": "base"}},
    "stops": {"Step": {}},
}
"""The screens on which a part can be seen at work, by their titles, each with what its address asks for."""


def parts(config: Config) -> dict[str, Part]:
    """All parts by name, in the order in which they are best read, as they are in a run with these settings."""
    found = [*_base(config), *_generator(config), *_discriminator(config), *_negatives(config)]
    return {part.name: part for part in found}


def settings(part: Part, config: Config) -> list[str]:
    """The settings of a part that change anything in this run."""
    reading = config.reading if config.fakes else ""
    return [name for name in dict.fromkeys(part.settings) if matters(name, config.sampler, reading)]


def stages(config: Config) -> list[str]:
    """The stages of an iteration in which the game is played, each once."""
    return [stage for stage in STAGES if stage in ("encode", "base") or _plays(stage, config)]


def _plays(stage: str, config: Config) -> bool:
    return bool(config.fakes) and (stage == "D" or stage in config.fakes)


def without_game(config: Config) -> str:
    """Why a run has neither G nor D, in a sentence; "" where it has them."""
    if config.fakes:
        return ""
    return f"This run takes its negatives from {theme.SAMPLERS[config.sampler]}, so it has no G and no D."


def _base(config: Config) -> list[Part]:
    decoder = _DECODERS[config.decoder]
    return [
        Part(
            "triplet",
            "Triplet",
            "Every training triplet (h, r, t) asks two queries: for its tail, (h, r, ?), and for its head, by the "
            "reciprocal relation, (t, r⁻¹, ?).",
            ("encode",),
            ("batch_size", "message_split", "score_message_edges"),
            ("batch:Batch.of_triplets",),
        ),
        Part(
            "encoder",
            "R-GCN encoder",
            "The encoder gives every entity its vector: layer by layer, an entity takes up messages from its "
            "neighbours, by a matrix for each relation.",
            ("encode", "base"),
            ("dim", "layers", "bases", "dropout", "message_split", "lr", "average"),
            ("rgcn:Encoder", "rgcn:RGCNLayer", "model:Model.encode"),
            theme.BASE,
            short="Encoder",
        ),
        Part(
            "decoder",
            f"{theme.DECODERS[config.decoder]} decoder",
            "The decoder makes one query vector, e_h ⊗ e_r, of head and relation, and scores every tail against it: "
            "the higher, the more likely.",
            ("encode", "base"),
            ("decoder", "dim", "lr", "average"),
            (f"decoders:{decoder}", "model:Model.queries"),
            theme.BASE,
            short=theme.DECODERS[config.decoder],
        ),
    ]


def _generator(config: Config) -> list[Part]:
    gone = without_game(config)
    one = "This run has one pathway, {}, by its setting Pathways."
    start = ("sigma", "sigma_relative")
    trained = ("lr_g", "k_g", "play_every", "warmup_epochs", "clip_norm", "condition_chunk")
    film = {"none": "This run has no FiLM: α = 1 and β = 0 for every condition."}.get(config.film, "")
    pathway = ("gan:Pathway", "samplers.dans:conditions_of")
    return [
        Part(
            "noise",
            "Noise",
            "A pathway starts at its condition plus Gaussian noise of spread σ, so that one condition gives "
            "many fakes.",
            ("G_E", "G_R", "D", "base"),
            start,
            ("gan:noisy", "gan:noise_scale"),
            absent=gone,
        ),
        Part(
            "g_e",
            "G_E",
            "The entity-wise pathway makes fakes, vectors of invented tails, from the head alone.",
            ("G_E",),
            ("pathways", *start, *trained),
            pathway,
            theme.G_E,
            gone or (one.format("G_R") if config.pathways == "G_R" else ""),
        ),
        Part(
            "g_r",
            "G_R",
            "The relation-wise pathway makes fakes, vectors of invented tails, from head and relation together.",
            ("G_R",),
            ("pathways", *start, *trained),
            pathway,
            theme.G_R,
            gone or (one.format("G_E") if config.pathways == "G_E" else ""),
        ),
        Part(
            "film",
            "FiLM",
            "FiLM adapts a pathway to each condition: two small networks read the condition and give every feature of "
            f"a layer a factor α and a shift β.{_FROZEN.get(config.film, '')}",
            ("G_E", "G_R"),
            ("film", "film_weight"),
            ("gan:FiLM", "gan:Modulation"),
            absent=gone or film,
        ),
    ]


_FROZEN = {"frozen": " In this run they stay as they began."}


def _discriminator(config: Config) -> list[Part]:
    gone = without_game(config)
    both = config.pathways == "both"
    no_aux = "" if curves.has_aux(config) else _NO_AUX[both]
    sees = "a vector beside its query" if config.conditional_d else "the vector of one entity, real or fake,"
    shapes = "" if config.aux_weight_g else " It shapes D alone, since L_G has no term for it."
    proposes = ", and to propose entities that the decoder expects as answers" if config.proposes else ""
    against = ", and the pathways from each other" if not (gone or no_aux) else ""
    update = "samplers.dans:Dans.update_discriminator"
    return [
        Part(
            "d",
            "D",
            f"The discriminator sees {sees} and hands what it makes of it to its heads.",
            ("G_E", "G_R", "D"),
            ("conditional_d", "lr_d", "k_d", "play_every", "warmup_epochs"),
            ("gan:Discriminator",),
            absent=gone,
        ),
        Part(
            "d_adv",
            "D_adv",
            "This head of D says how probable it is that a vector is a real entity and not a fake.",
            ("G_E", "G_R", "D"),
            ("adv_weight", "lr_d"),
            ("gan:Discriminator", update),
            theme.D_ADV,
            gone,
        ),
        Part(
            "d_aux",
            "D_aux",
            f"This head of D says which pathway made a fake.{shapes}",
            ("D", "G_E", "G_R") if config.aux_weight_g else ("D",),
            ("aux_weight", "aux_weight_g", "pathways"),
            ("samplers.dans:_pathway_loss", update),
            theme.D_AUX,
            gone or no_aux,
        ),
        Part(
            "l_d",
            "L_D",
            f"The loss of D trains it to tell real entities from fakes{against}.",
            ("D",),
            ("lr_d", "aux_weight", "k_d"),
            (update,),
            absent=gone,
        ),
        Part(
            "l_g",
            "L_G",
            f"The loss of a pathway trains it to be taken for real by D_adv{proposes}.",
            ("G_E", "G_R"),
            ("adv_weight", "ce_weight", "film_weight", "aux_weight_g", "lr_g", "k_g"),
            ("samplers.dans:Dans.update_generator", *_BELIEVED[config.proposes]),
            absent=gone,
        ),
    ]


_NO_AUX = {
    True: "This run has no D_aux: its loss has no weight.",
    False: "With one pathway there is nothing to tell apart, so this run has no D_aux.",
}
_BELIEVED = {True: ("samplers.dans:Dans._believed", "proposals:beliefs"), False: ()}


def _negatives(config: Config) -> list[Part]:
    gone = without_game(config)
    proposes = config.proposes
    trains = "softmax" if config.loss == "softmax" else "bce"
    game = ("samplers.dans:Dans.propose", "proposals:log_reading", "proposals:mixture")
    return [
        Part(
            "reading",
            "Reading",
            "A fake is no negative itself: it proposes the real entities near it, the nearer the more often."
            if proposes
            else "Every fake is a negative itself: the invented triplet (h, r, ẽ).",
            ("base", "G_E", "G_R") if proposes else ("base",),
            ("reading", "tau", "random_share", "play_every", "pathway_fakes", "random_negatives"),
            game if proposes else ("samplers.dans:Dans.negatives", "samplers.dans:Dans.make_fakes"),
            absent=gone,
        ),
        Part(
            "random",
            "Random",
            "A share of each proposal is spread evenly over all entities, so that every one can be drawn."
            if proposes
            else "Entities that are drawn at random, each as likely as any other.",
            ("base",),
            ("random_share",)
            if proposes
            else ("random_negatives", "filter_known", "shared", "warmup_epochs"),
            ("proposals:mixture",) if proposes else ("samplers.uniform:random_negatives",),
            theme.RANDOM,
            _no_random(config),
        ),
        Part(
            "negatives",
            "Negatives",
            _about_negatives(config),
            ("base",),
            ("negatives", "temperature", "reading", "shared", "filter_known", *_own_settings(config)),
            ("proposals:Proposals.draw", "proposals:log_importance")
            if proposes
            else (f"{HOMES[config.sampler].removeprefix('dans_core.')}.negatives",)
            if config.sampler in HOMES
            else (),
            theme.SAMPLER if config.declaration.chooses else None,
        ),
        Part(
            "base_loss",
            "Base loss",
            "The loss of the base model trains an answer to score above its negatives."
            if trains == "softmax"
            else "The loss of the base model trains answers to score high and negatives to score low, each by itself.",
            ("base",),
            ("loss", "lr", "l2", "average", "clip_norm", "epochs", "batch_size"),
            (
                "loss:base_loss",
                "loss:_softmax_loss",
                "training:Trainer._base",
            )
            if trains == "softmax"
            else ("loss:base_loss", "training:Trainer._base"),
            theme.BASE,
        ),
        Part(
            "stops",
            "Where gradients stop",
            "G and D see vectors of entities and queries as constants, and the base model sees fakes as constants: "
            "each loss moves its own part alone.",
            ("G_E", "G_R", "D", "base"),
            (),
            ("training:Trainer._make_step", "samplers.dans:Dans.make_fakes", "samplers.dans:_frozen"),
            absent=gone,
        ),
    ]


def _about_negatives(config: Config) -> str:
    if config.proposes:
        return (
            "Entities are drawn from the mixture of all proposals, and each is weighed, so that the way of drawing "
            "does not change what the loss means."
        )
    if config.fakes:
        return "The negatives of a query are the fakes of both pathways and random entities."
    return config.declaration.about


def _no_random(config: Config) -> str:
    if config.fakes:
        without = config.reading == "vectors" and not config.random_negatives
        return "All negatives of this run are fakes, by its setting Random part." if without else ""
    if config.sampler == "uniform":
        return ""
    return f"{theme.SAMPLERS[config.sampler]} chooses the negatives of this run itself."


def _own_settings(config: Config) -> tuple[str, ...]:
    """What another sampler than DANS reads beside what all of them do."""
    return () if config.fakes else config.declaration.settings
