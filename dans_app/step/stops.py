"""The stops of a round in words: at most two sentences each, and one formula with the numbers of the triplet in it.

The words are plain text, which the browser writes as such; names of entities and relations may hold anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dans_core.config import Config
from dans_core.kg import KnowledgeGraph
from dans_data import words
from dans_data.words import count, plural

Found = dict[str, Any]
"""The fields of `dans_lab.stepping.measured.Measured`."""

FILLED = {"G_E": "ẽ_E", "G_R": "ẽ_R"}


@dataclass(frozen=True)
class Change:
    """A figure that is followed; `after` is empty until its stage is over. `about` says what it is."""

    name: str
    before: str
    after: str = ""
    about: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text; the first cell of each is the name of a look, the others stand under `head`."""

    name: str
    head: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class View:
    """What the map shows at a stop.

    Attributes:
        moved: whether entities are where the base model's update put them.
        fakes: of each pathway, whether they are before (0) or after (1) its update.
        ghosts, arrows: the pathway that has them, or "".
        focus: "all", or the pathway whose fakes are looked at from near, or "fakes".
        drawn: entities that are negatives of the triplet.
    """

    moved: bool = False
    fakes: dict[str, int] = field(default_factory=dict)
    ghosts: str = ""
    arrows: str = ""
    focus: str = "all"
    drawn: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Stop:
    """One stop. `stage` is the Trainer's name for the stage; `label` what it is about, in few words."""

    stage: str
    label: str
    title: str
    text: str
    formula: str
    changes: list[Change]
    table: Table
    view: View


LETTERS = {
    "R-GCN": "the encoder, which makes vectors from neighbours",
    "e_h": "the head’s vector",
    "e_t": "the tail’s vector",
    "e_r": "the relation’s vector; e_h ⊗ e_r, of head and relation, is the query",
    "e_r⁻¹": "the vector of the reciprocal relation; e_t ⊗ e_r⁻¹, of tail and reciprocal, is the query",
    "s(": "the decoder’s score; s′ are the scores of others",
    "eˢ": "e to the power of the score s; s′ are the scores of others",
    "p(": "the decoder’s belief in the {answer}, a softmax over all entities",
    "cos": "the cosine of the angle between query and {answer}",
    "ẽ": "a fake, the embedding of an invented {answer}: ẽ₁ is fake 1, ẽ_E one of G_E, ẽ_R one of G_R",
    "σ": "how strong the noise is; ε is standard normal",
    "median": "the length in the middle of all entities’",
    "D_adv": "the probability of being real, says D",
    "D_aux": "the probability of being made by G_R, says D",
    "CE": "cross-entropy of what the fake proposes against the decoder’s beliefs",
    "L_G": "the loss of the pathway, which wants to be taken for real",
    "L_D": "the loss of D: L_adv and, by its weight, L_aux",
    "L_adv": "the loss of D_adv, of one {answer} and one fake of each pathway here",
    "L_aux": "the loss of D_aux, of one fake of each pathway here",
    "L = ": "L, the base loss of this triplet",
    "m(": "the chance of an entity to be drawn",
    "w": "the weight of a negative; T, the temperature, says how much its score counts in it",
    "N_s": "negatives of a query",
    "γ": "RotatE’s constant, 12",
}
"""What stands in the formulas, by what it is known by there; `answer` is the place that is asked for."""


def letters(formula: str, answer: str = "tail") -> list[tuple[str, str]]:
    """What stands in a formula, with its meaning, where this place of a triplet is asked for."""
    # The name of an entity may hold anything.
    ours = formula.partition(" for x = ")[0]
    found = [
        (name, about.format(answer=answer))
        for name, about in LETTERS.items()
        if re.search(
            rf"(?<![\w-]){re.escape(name)}(?![A-Za-z⁻])" if name[-1] != "(" else rf"\b{re.escape(name)}", ours
        )
    ]
    return [(name.strip("( =") + "(x)" * (name[-1] == "("), about) for name, about in found]


@dataclass(frozen=True)
class Told:
    """All that a stop is made of; the triplet is a query with its answer, (t, r⁻¹, h) where a head is asked for."""

    found: Found
    triplet: tuple[int, int, int]
    kg: KnowledgeGraph
    config: Config

    def name(self, entity: int) -> str:
        """An entity's name, on one line and not too long."""
        return _short(self.kg.entities[entity])

    @property
    def answer(self) -> str:
        """The answer's name."""
        return self.name(self.triplet[2])

    @property
    def backwards(self) -> bool:
        """Whether a head is asked for."""
        return self.triplet[1] >= self.kg.num_relations

    @property
    def places(self) -> tuple[str, str]:
        """The place of a triplet that is given, and the one that is asked for."""
        return ("tail", "head") if self.backwards else ("head", "tail")

    @property
    def letters(self) -> tuple[str, str, str]:
        """How the query's entity, its relation and its answer are written in formulas."""
        return ("t", "r⁻¹", "h") if self.backwards else ("h", "r", "t")

    @property
    def query(self) -> str:
        """The query, in formulas."""
        given, relation, _ = self.letters
        return f"e_{given} ⊗ e_{relation}"


def kinds(config: Config) -> list[tuple[str, str]]:
    """The stops of a round, each by its stage and what it is about."""
    found = [("encode", "entities"), ("encode", "query"), ("encode", "beliefs")]
    if config.k_g:
        found += [(name, part) for name in config.fakes for part in ("fakes", "arrows", "learned")]
    if config.k_d:
        parts = ["D_adv", "D_aux", "learned"] if _has_aux(config) else ["D_adv", "learned"]
        found += [("D", part) for part in parts]
    return [*found, ("base", "negatives"), ("base", "loss"), ("base", "learned")]


def stops(found: Found, triplet: tuple[int, int, int], kg: KnowledgeGraph, config: Config) -> list[Stop]:
    """Every stop of a round, in the order of training."""
    told = Told(found, triplet, kg, config)
    return [_MAKERS[_kind(stage), part](told, stage) for stage, part in kinds(config)]


def figure(value: float) -> str:
    """A number with four digits that count, and a true minus."""
    if value and abs(value) < 1e-4:
        return ("−" if value < 0 else "") + "<0.0001"
    text = "0" if not value else f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:#.4g}".rstrip(".")
    return text.replace("-", "−")


def share(part: float, digits: int = 0) -> str:
    """A share in per cent, on one line."""
    return words.share(part, digits).replace(" ", "\N{NO-BREAK SPACE}")


def moved(before: float, after: float) -> str:
    """From one number to another, and by how much."""
    by = after - before
    sign = "+" if by > 0 else ""
    return f"{figure(before)} → {figure(after)} ({sign}{figure(by)})"


# --- encode ----------------------------------------------------------------------------------------------------


def _entities(told: Told, stage: str) -> Stop:
    encoded = told.found["encoded"]
    carried, (given, _, asked) = share(told.config.message_split), told.letters
    return _encode(
        told,
        "Vectors",
        "Entities become vectors",
        "The R-GCN makes the vector of every entity from its neighbours; "
        f"{carried} of the training triplets, drawn anew for each step, carry the messages. {_since(told)}",
        f"e_{given} = R-GCN({given}):  ‖e_{given}‖ = {figure(encoded['length_head'])},  "
        f"‖e_{asked}‖ = {figure(encoded['length_tail'])}",
    )


def _since(told: Told) -> str:
    """What went on since the round before."""
    number, alone = told.found["number"], told.config.play_every - 1
    if number == 1:
        warm_up = told.config.warmup_epochs
        return (
            f"So far {count(warm_up, 'epoch')} of warm-up went by, without the GAN."
            if warm_up
            else "Training begins."
        )
    if alone == 0:
        return f"G and D are as round {number - 1:,} left them."
    return f"Since round {number - 1:,} the base model took {count(alone, 'step')} alone."


def _query(told: Told, stage: str) -> Stop:
    encoded = told.found["encoded"]
    score, query, answer = encoded["score"], encoded["length_query"], encoded["length_tail"]
    (given, place), asked, scored = told.places, told.letters[2], f"s({', '.join(told.letters)})"
    if told.config.decoder == "rotate":
        formula = f"{scored} = γ − Σ |{told.query} − e_{asked}| = 12 − {figure(12 - score)} = {figure(score)}"
    else:
        cosine = score / (query * answer) if query * answer else 0.0
        formula = (
            f"{scored} = ‖{told.query}‖ · ‖e_{asked}‖ · cos = {figure(query)} · {figure(answer)} · {figure(cosine)} = "
            f"{figure(score)}"
        )
    text = (
        f"The reciprocal relation r⁻¹, which has a vector of its own, turns the question round. The decoder joins it "
        f"with the tail’s vector to a query, {told.query}, and scores {told.answer} by it."
        if told.backwards
        else f"The decoder joins the vectors of head and relation to a query, {told.query}, and scores {told.answer} "
        "by it. The higher the score, the likelier the triplet."
    )
    return _encode(told, "Query", f"{given.capitalize()} and relation ask for a {place}", text, formula)


def _beliefs(told: Told, stage: str) -> Stop:
    encoded = told.found["encoded"]
    score, belief = encoded["score"], encoded["belief"]
    given, relation, asked = told.letters
    first, at = told.name(encoded["foremost"][0]), share(encoded["beliefs"][0], 1)
    whole = math.exp(score) / belief if belief else math.inf
    return _encode(
        told,
        "Beliefs",
        "What the decoder believes",
        f"Softmax turns the scores of all {told.kg.num_entities:,} entities into beliefs, and the decoder expects "
        f"{first} most, at {at}. {told.answer} has rank {_rank(encoded['rank'])} when other known answers are left "
        "out.",
        f"p({asked} | {given}, {relation}) = eˢ / Σ eˢ′ = {figure(math.exp(score))} / {figure(whole)} = "
        f"{figure(belief)}",
    )


def _encode(told: Told, label: str, title: str, text: str, formula: str) -> Stop:
    encoded, (_, place) = told.found["encoded"], told.places
    changes = [
        Change("Score", figure(encoded["score"]), about=f"of the {place} for this query, by the decoder"),
        Change("Belief", share(encoded["belief"], 1), about=f"p of the {place} among all entities"),
        Change("Rank", _rank(encoded["rank"]), about=f"of the {place}, other known answers left out"),
    ]
    view = View(fakes=dict.fromkeys(told.found["played"], 0))
    return Stop("encode", label, title, text, formula, changes, _fakes_table(told, view), view)


# --- G_E and G_R -----------------------------------------------------------------------------------------------


def _made(told: Told, stage: str) -> Stop:
    played = told.found["played"][stage]
    given, _ = told.places
    alone = {"G_E": f"the {given}’s vector alone", "G_R": f"the query, that is from {given} and relation"}[
        stage
    ]
    local = (
        "FiLM is off, so the pathway is the same for every condition."
        if played["alpha"] is None
        else f"FiLM makes it local to this {given if stage == 'G_E' else 'query'}: it scales features by α, here "
        f"{figure(played['alpha'])} away from 1 on average."
    )
    condition = {"G_E": f"e_{told.letters[0]}", "G_R": told.query}[stage]
    first = played["before"][0]
    return _game(
        told,
        stage,
        "Fakes",
        "Noise becomes fakes",
        f"{stage} starts from {alone}, adds noise and makes {len(played['before'])} fakes; this noise is the same at "
        f"every stop. {local}",
        f"{FILLED[stage]} = {stage}({condition} + σ ε),  σ = {played['noise']:.4g}:  "
        f"‖ẽ₁‖ = {figure(first['length'])} · median ‖e‖",
        View(fakes=_at(told, stage), focus=stage),
    )


def _arrows(told: Told, stage: str) -> Stop:
    first = told.found["played"][stage]["before"][0]
    return _game(
        told,
        stage,
        "Pull of L_G",
        "Where the loss pulls the fakes",
        "An arrow is −∂L_G/∂ẽ, the way in which its fake would lower the loss fastest. Of fake 1’s, "
        f"{share(first['in_plane'])} lies in this plane, by squared length; the rest points out of the picture.",
        _loss_of(first, told.config),
        View(fakes=_at(told, stage), arrows=stage, focus=stage),
    )


def _loss_of(fake: Found, config: Config) -> str:
    """L_G of one fake, with its numbers."""
    terms = []
    if config.adv_weight:
        terms.append((config.adv_weight, "−log D_adv(ẽ₁)", f"−log {figure(fake['d_adv'])}"))
    if fake["entropy"] is not None:
        terms.append((config.ce_weight, "CE", figure(fake["entropy"])))
    if config.aux_weight_g:
        rest = fake["loss"] - config.adv_weight * fake["adversarial"]
        rest -= config.ce_weight * (fake["entropy"] or 0.0)
        terms.append((config.aux_weight_g, "L_aux", figure(rest / config.aux_weight_g)))
    names = " + ".join(_term(weight, name) for weight, name, _ in terms)
    numbers = " + ".join(_term(weight, number) for weight, _, number in terms)
    return f"L_G(ẽ₁) = {names or '0'} = {numbers or '0'} = {figure(fake['loss'])}"


def _learned_g(told: Told, stage: str) -> Stop:
    played, updates = told.found["played"][stage], told.found["updates"][stage]
    which = "One update" if updates == 1 else f"The last of {updates} updates"
    many = {"G_E": "entities", "G_R": "queries"}[stage]
    return _game(
        told,
        stage,
        "Update",
        f"{stage} has learned",
        f"{which} changed the weights of {stage}; hollow marks show where the fakes were. All {many} share these "
        "weights, so a fake need not follow its own arrow.",
        f"L_G over all {many}: {moved(played['loss_before'], played['loss_after'])}",
        View(fakes={**_at(told, stage), stage: 1}, ghosts=stage, arrows=stage, focus=stage),
    )


def _game(told: Told, stage: str, label: str, title: str, text: str, formula: str, view: View) -> Stop:
    played, over = told.found["played"][stage], bool(view.ghosts)
    before, after = played["before"], played["after"]
    changes = [
        _change("L_G", _mean(before, "loss"), _mean(after, "loss"), over, "mean over this triplet’s fakes"),
        _change("D_adv", _mean(before, "d_adv"), _mean(after, "d_adv"), over, "real? mean over the fakes"),
        _change(
            "Score",
            _mean(before, "score"),
            _mean(after, "score"),
            over,
            f"mean over the fakes, as {told.places[1]}s",
        ),
    ]
    if before[0]["d_aux"] is not None:
        about = "made by G_R? mean over the fakes"
        changes.insert(2, _change("D_aux", _mean(before, "d_aux"), _mean(after, "d_aux"), over, about))
    return Stop(stage, label, title, text, formula, changes, _fakes_table(told, view), view)


def _at(told: Told, stage: str) -> dict[str, int]:
    """Of each pathway whether its update is over when `stage` begins."""
    names = list(told.found["played"])
    return {name: int(names.index(name) < names.index(stage)) for name in names}


# --- D ---------------------------------------------------------------------------------------------------------


def _real_or_not(told: Told, stage: str) -> Stop:
    opinion = told.found["judged"][0]
    part = {1: "½", 2: "¼"}[len(opinion["fakes"])]
    names = [f"{part} log(1 − D_adv({FILLED[name]}))" for name in opinion["fakes"]]
    numbers = [f"{part} log {figure(1 - of[0])}" for of in opinion["fakes"].values()]
    return _judged(
        told,
        "D_adv",
        "D_adv: real or generated?",
        f"D looks at vectors alone, and D_adv says how likely each is a real entity. For {told.answer} the right "
        "answer is 1, for the fakes it is 0.",
        f"L_adv = −½ log D_adv(e_{told.letters[2]}) − {' − '.join(names)} = −½ log {figure(opinion['real'])} − "
        f"{' − '.join(numbers)} = {figure(opinion['adversarial'])}",
    )


def _which_pathway(told: Told, stage: str) -> Stop:
    opinion = told.found["judged"][0]
    e, r = (opinion["pathway"][name][0] for name in ("G_E", "G_R"))
    return _judged(
        told,
        "D_aux",
        "D_aux: which pathway?",
        "D_aux says how likely G_R, and not G_E, made a fake. Right is 0 for fakes of G_E and 1 for those of G_R; "
        "near ½ it cannot tell.",
        f"L_aux = −½ log(1 − D_aux(ẽ_E)) − ½ log D_aux(ẽ_R) = −½ log {figure(1 - e)} − ½ log {figure(r)} = "
        f"{figure(opinion['auxiliary'])}",
    )


def _learned_d(told: Told, stage: str) -> Stop:
    before, after = told.found["judged"]
    updates = told.found["updates"]["D"]
    which = "One update" if updates == 1 else f"The last of {updates} updates"
    return _judged(
        told,
        "Update",
        "D has learned",
        f"{which} changed the weights of D. The fakes stay where they are; what changed is what D says of them.",
        f"L_D over all answers and fakes: {moved(before['loss'], after['loss'])}",
        over=True,
    )


def _judged(told: Told, label: str, title: str, text: str, formula: str, over: bool = False) -> Stop:
    opinions = told.found["judged"]
    before, after = opinions
    asked, place = told.letters[2], told.places[1]

    def changed(head: str, kept: str, name: str, question: str) -> Change:
        was, now = (_average(opinion[kept][name]) for opinion in opinions)
        return _change(f"{head}({FILLED[name]})", was, now, over, f"{question} mean over the fakes of {name}")

    if label == "D_aux":
        changes = [changed("D_aux", "pathway", name, "G_R’s?") for name in before["pathway"]]
    else:
        real = _change(
            f"D_adv(e_{asked})", before["real"], after["real"], over, f"of the true {place}: real?"
        )
        changes = [real, *(changed("D_adv", "fakes", name, "real?") for name in before["fakes"])]
    view = View(fakes=dict.fromkeys(told.found["played"], 1), focus="fakes")
    return Stop("D", label, title, text, formula, changes, _fakes_table(told, view, True, over), view)


# --- base ------------------------------------------------------------------------------------------------------


def _negatives(told: Told, stage: str) -> Stop:
    config, given = told.config, told.found["trained"]["negatives"]
    if not config.proposes:
        numbers = [(name, sum(n["source"] == name for n in given)) for name in (*config.fakes, "random")]
        parts = " + ".join(f"{number} ({name})" for name, number in numbers if number)
        return _base(
            told,
            "Negatives",
            "Fakes are negatives",
            f"The base model gets {len(given)} negatives for this query, fakes beside random entities. These fakes are "
            "made from the noise of training, so they are not the ones on the map.",
            f"N_s = {parts} = {len(given)}",
        )
    known = sum(bool(n["split"]) and n["entity"] != told.triplet[2] for n in given)
    heaviest = max(given, key=lambda n: n["weight"])
    power = config.temperature * heaviest["before"]
    return _base(
        told,
        "Negatives",
        "Entities are drawn as negatives",
        f"Fakes propose the entities near them, a share of {share(config.random_share)} stays random, and "
        f"{count(len(given), 'entity is', 'entities are')} drawn; {known} of them "
        f"{plural(known, 'is a known fact', 'are known facts')}. Weights w make up for the chance m of being drawn.",
        f"w(x) ∝ e^(T · s(x)) / m(x) = e^({figure(power)}) / {figure(heaviest['chance'])},  "
        f"w = {figure(heaviest['weight'])} for x = {told.name(heaviest['entity'])}",
    )


def _loss(told: Told, stage: str) -> Stop:
    trained, config = told.found["trained"], told.config
    score, loss = trained["score_before"], trained["loss_before"]
    weight = "" if not config.proposes else "w "
    given, (_, place) = trained["negatives"], told.places
    if config.loss == "softmax":
        against = sum(n["weight"] * math.exp(n["before"]) for n in given)
        text = f"The {place} competes with its negatives. The loss is small once its score is far above all of theirs."
        formula = (
            f"L = log(eˢ + Σ {weight}eˢ′) − s = log({figure(math.exp(score))} + {figure(against)}) − {figure(score)} = "
            f"{figure(loss)}"
        )
    else:
        own = math.log1p(math.exp(-score))
        others = loss * (1 + len(given)) - own
        text = (
            f"The {place} is to score high, and each negative low, every one on its own. The loss is the mean of "
            "all."
        )
        formula = (
            f"L = (log(1 + e⁻ˢ) + Σ {weight}log(1 + eˢ′)) / {1 + len(given)} = ({figure(own)} + {figure(others)}) / "
            f"{1 + len(given)} = {figure(loss)}"
        )
    return _base(told, "Loss", "The loss of this triplet", text, formula)


def _learned_base(told: Told, stage: str) -> Stop:
    trained, pairs = told.found["trained"], 2 * len(told.kg.array("train"))
    rose = trained["loss_after"] > trained["loss_before"]
    return _base(
        told,
        "Update",
        "The base model has learned",
        f"One update by all {pairs:,} queries together changed embeddings, R-GCN and relations"
        f"{'; the loss of a single query may rise in it, as that of this one did' if rose else ''}. "
        "The entities glide to where the same messages put them now.",
        f"s({', '.join(told.letters)}): {moved(trained['score_before'], trained['score_after'])}",
        over=True,
    )


def _base(told: Told, label: str, title: str, text: str, formula: str, over: bool = False) -> Stop:
    trained, encoded, (_, place) = told.found["trained"], told.found["encoded"], told.places
    belief, after = share(encoded["belief"], 1), share(trained["belief_after"], 1)
    changes = [
        _change(
            "Loss", trained["loss_before"], trained["loss_after"], over, "of this triplet, same negatives"
        ),
        _change("Score", trained["score_before"], trained["score_after"], over, f"of the {place}"),
        Change("Belief", belief, after if over else "", f"p of the {place} among all entities"),
        Change(
            "Rank", _rank(encoded["rank"]), _rank(trained["rank_after"]) if over else "", f"of the {place}"
        ),
    ]
    drawn = {n["entity"] for n in trained["negatives"] if n["source"] in ("proposed", "random")}
    view = View(moved=over, fakes=dict.fromkeys(told.found["played"], 1), drawn=sorted(drawn))
    return Stop("base", label, title, text, formula, changes, _negatives_table(told, over), view)


# --- tables ----------------------------------------------------------------------------------------------------


def _fakes_table(told: Told, view: View, of_d: bool = False, judged: bool = False) -> Table:
    """The fakes as the map shows them; with what was before, where something has just changed.

    In the stage `of_d` the opinions are those around its update, and `judged` after it.
    """
    rows, proposes = [], told.config.proposes
    for name, played in told.found["played"].items():
        at = view.fakes[name]
        now, was = played[("before", "after")[at]], played["before"]
        old, new = (opinion_of(told, name, when) for when in (0, 1))
        for k, fake in enumerate(now):
            near = fake["reads"][0] if proposes else fake["nearest"]
            row = [name, f"{name[-1]}{k + 1}", told.name(near)]
            if of_d:
                pairs = [(before[k], after[k]) for before, after in zip(old, new, strict=True)]
                row += [_step(before, after, judged) for before, after in pairs]
                row.append(figure(fake["score"]))
            else:
                names = ["d_adv", *(["d_aux"] if fake["d_aux"] is not None else []), "score"]
                over = view.ghosts == name
                row += [
                    _step(was[k][each], fake[each], over) if over else figure(fake[each]) for each in names
                ]
            rows.append(row)
    aux = ["D_aux: G_R?"] if _has_aux(told.config) else []
    return Table(
        "The negatives this triplet would get: fakes",
        ["", "Fake", "Proposes first" if proposes else "Nearest entity", "D_adv: real?", *aux, "Score"],
        rows,
    )


def opinion_of(told: Told, name: str, when: int) -> list[list[float]]:
    """What D says of the fakes of a pathway before (0) or after (1) its update: D_adv, and D_aux where it exists."""
    opinion = told.found["judged"][when]
    return [opinion["fakes"][name], *([opinion["pathway"][name]] if opinion["pathway"] else [])]


def _negatives_table(told: Told, over: bool) -> Table:
    given = sorted(told.found["trained"]["negatives"], key=lambda n: -n["weight"])
    proposes = told.config.proposes
    rows = [
        [
            n["source"],
            told.name(n["entity"]),
            *([figure(n["weight"])] if proposes else []),
            _step(n["before"], n["after"], over),
            "the answer itself" if n["entity"] == told.triplet[2] else n["split"],
        ]
        for n in given
    ]
    return Table(
        "The negatives this triplet was given",
        [
            "",
            "Entity" if proposes else "Entity, or the one nearest",
            *(["Weight"] if proposes else []),
            "Score",
            "Known fact",
        ],
        rows,
    )


def _step(before: float, after: float, over: bool) -> str:
    return f"{figure(before)} → {figure(after)}" if over else figure(before)


# --- small words -----------------------------------------------------------------------------------------------


def _change(name: str, before: float, after: float, over: bool, about: str) -> Change:
    return Change(name, figure(before), figure(after) if over else "", about)


def _mean(fakes: list[Found], name: str) -> float:
    return _average([fake[name] for fake in fakes])


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _rank(rank: float) -> str:
    return f"{rank:,.0f}" if rank == int(rank) else f"{rank:,.1f}"


def _term(weight: float, text: str) -> str:
    return text if weight == 1 else f"{weight:g} · ({text})"


def _short(name: str, most: int = 44) -> str:
    line = " ".join(name.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _has_aux(config: Config) -> bool:
    return config.pathways == "both" and (config.aux_weight > 0 or config.aux_weight_g > 0)


def _kind(stage: str) -> str:
    return "G" if stage in FILLED else stage


_MAKERS: dict[tuple[str, str], Callable[[Told, str], Stop]] = {
    ("encode", "entities"): _entities,
    ("encode", "query"): _query,
    ("encode", "beliefs"): _beliefs,
    ("G", "fakes"): _made,
    ("G", "arrows"): _arrows,
    ("G", "learned"): _learned_g,
    ("D", "D_adv"): _real_or_not,
    ("D", "D_aux"): _which_pathway,
    ("D", "learned"): _learned_d,
    ("base", "negatives"): _negatives,
    ("base", "loss"): _loss,
    ("base", "learned"): _learned_base,
}
