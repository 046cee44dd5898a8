"""The formula of each part in LaTeX, and below it the same with the numbers of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dans_app.how.seen import Seen
from dans_app.shared.formulas import READINGS, SCORES
from dans_core.config import Config
from dans_data.words import count, number, share


@dataclass(frozen=True)
class Formula:
    """What stands below a part's sentence.

    plain    the formula in LaTeX, with a line break where a narrow place needs one
    numbers  lines of LaTeX with the numbers of the run
    words    sentences with numbers, in Markdown
    epoch    the epoch of these numbers; None where they are settings or counts, or there are none yet
    """

    plain: str
    numbers: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    epoch: int | None = None


def formula(name: str, found: Seen) -> Formula:
    """The formula of a part, with what the run has told of it."""
    return _FORMULAS[name](found)


# --- the base model ----------------------------------------------------------------------------------------------


def _triplet(found: Seen) -> Formula:
    plain = r"(h, r, t) \;\to\; (h, r, ?),\; t \\ \text{and } (t, r^{-1}, ?),\; h"
    if found.kg is None:
        return Formula(plain)
    facts, entities, relations = len(found.kg.array("train")), found.kg.num_entities, found.kg.num_relations
    return Formula(
        plain,
        (rf"{_int(facts)} \text{{ triplets}} \to {_int(2 * facts)} \text{{ pairs}}",),
        (
            f"A pair is a query and its answer. {count(entities, 'entity', 'entities')}, "
            f"{count(relations, 'relation')} and their reciprocals.",
        ),
    )


def _encoder(found: Seen) -> Formula:
    config = found.config
    sizes = rf"\,d = {config.dim},\; B = {config.bases}"
    if found.kg is not None:
        sizes = rf"N = {_int(found.kg.num_entities)},\; 2|R| = {2 * found.kg.num_relations},{sizes}"
    return Formula(
        r"h_i' = \sum_{r} \frac{1}{|N_r(i)|} \sum_{j \in N_r(i)} W_r h_j + W_0 h_i + b \\ "
        r"W_r = \sum_{b=1}^{B} c_{rb} V_b",
        (sizes,),
        (f"{count(config.layers, 'layer')}, with ReLU and dropout between them.",),
    )


_QUERIES = {
    "distmult": r"h \otimes r = h \circ r",
    "complex": r"h \otimes r = h \circ r \in \mathbb{C}^{d/2}",
    "rotate": r"h \otimes r = h \circ e^{i\theta_r} \in \mathbb{C}^{d/2}",
}


def _decoder(found: Seen) -> Formula:
    decoder, measured = found.config.decoder, found.diagnosis
    plain = rf"{_QUERIES[decoder]} \\ {SCORES[decoder]}"
    if measured is None:
        return Formula(plain, words=(READINGS[decoder],))
    return Formula(
        plain,
        (
            rf"\overline{{\text{{score}}}}(h, r, t) = {number(measured.positive_score, 2)} \\ "
            rf"\overline{{\text{{score}}}}(h, r, \text{{random}}) = {number(measured.random_score, 2)}",
        ),
        (
            READINGS[decoder],
            f"A random entity outscores the answer in {share(measured.random_outscores_positive)} of cases.",
        ),
        measured.epoch,
    )


def _base_loss(found: Seen) -> Formula:
    config, losses = found.config, found.losses
    plain = _BASE_LOSS[config.loss] if not config.proposes or config.loss == "bce" else _WEIGHED
    numbers = () if losses is None else (rf"L = {number(losses.base, 3)}",)
    words = (f"In each step {config.l2:g} times the mean squares of the vectors are added (L2).",)
    return Formula(plain, numbers, words, None if losses is None else losses.epoch)


_WEIGHED = r"L = \operatorname{mean} \Big[ \log\big( e^{s_a} + \sum_{k} w_k \, e^{s_k} \big) - s_a \Big]"
_BASE_LOSS = {
    "softmax": r"L = \operatorname{mean} \Big[ \log\big( e^{s_a} + \sum_{k} e^{s_k} \big) - s_a \Big]",
    "bce": r"L = \operatorname{mean} \Big[ -\log \sigma(s_a),\; -\log \sigma(-s_k) \Big]",
}


# --- the generator -----------------------------------------------------------------------------------------------


def _noise(found: Seen) -> Formula:
    config = found.config
    scale = (
        rf"{config.sigma:g} \cdot \operatorname{{std}}(e)" if config.sigma_relative else f"{config.sigma:g}"
    )
    measured = {name: health for name in config.fakes if (health := found.health(name))}
    spread = [f"{name} {number(health.copy_spread, 2)}" for name, health in measured.items()]
    return Formula(
        r"x^0 = c + \sigma \, \varepsilon, \quad \varepsilon \sim \mathcal{N}(0, I)",
        (rf"x^0 = c + {scale} \, \varepsilon",) if config.fakes else (),
        (f"Spread of the fakes of one condition against that of all (0: copies): {', '.join(spread)}.",)
        if spread
        else (),
        found.diagnosis.epoch if spread and found.diagnosis else None,
    )


def _film(found: Seen) -> Formula:
    config = found.config
    penalties = {name: value for name in config.fakes if (value := found.film(name)) is not None}
    follow = [
        f"{name} {number(health.between_heads, 2)} with FiLM, {number(health.between_heads_neutral, 2)} without"
        for name in config.fakes
        if (health := found.health(name))
        and health.between_heads_neutral is not None
        and config.film != "none"
    ]
    return Formula(
        r"\alpha = 1 + \operatorname{MLP}_\alpha(c), \quad \beta = \operatorname{MLP}_\beta(c) \\ "
        r"R = \operatorname{mean}\big[ (\alpha - 1)^2 + \beta^2 \big]",
        tuple(rf"R_{{{_tex(name)}}} = {number(value, 4)}" for name, value in penalties.items()),
        (
            f"At epoch {found.diagnosis.epoch:,}, how far fakes differ between heads (1: as far as entities): "
            f"{'; '.join(follow)}.",
        )
        if follow and found.diagnosis
        else (),
        found.played.epoch if penalties and found.played else None,
    )


def _pathway(name: str, condition: str) -> Callable[[Seen], Formula]:
    def of(found: Seen) -> Formula:
        film = found.config.film != "none"
        inside = r"\alpha^l \circ (W^l x^l + b^l) + \beta^l" if film else r"W^l x^l"
        plain = (
            rf"c = {condition} \\ y^l = {inside} \\ "
            r"x^{l+1} = \operatorname{LeakyReLU}\big( \operatorname{BN}( y^l ) \big) \\ \tilde e = W x^L + b"
        )
        health, loss = found.health(name), found.pathway_loss(name)
        words = []
        if health is not None and found.diagnosis is not None:
            words = [
                f"At epoch {found.diagnosis.epoch:,} its fakes for {count(health.conditions, 'condition')} lie nearest "
                f"to {count(health.distinct_nearest, 'different entity', 'different entities')}; mean cosine of two "
                f"of them {number(health.mean_cosine, 2)}, length {number(health.scale, 2)} times an entity’s."
            ]
        return Formula(
            plain,
            (rf"L_{{{_symbol(name)}}} = {number(loss, 3)}",) if loss is not None else (),
            tuple(words),
            found.played.epoch if loss is not None and found.played else None,
        )

    return of


def _l_g(found: Seen) -> Formula:
    config = found.config
    terms = [r"w_{adv} \cdot \operatorname{BCE}(D_{adv}(\tilde e), 1)"]
    if config.proposes and config.ce_weight:
        terms.append(r"w_{ce} \cdot \operatorname{CE}(p, q)")
    if config.film == "trained":
        terms.append(r"\lambda R")
    if config.aux_weight_g:
        terms.append(r"w \cdot L_{aux}")
    plain = f"L_G = {terms[0]}" + (rf" \\ {{}} + {' + '.join(terms[1:])}" if terms[1:] else "")
    lines = tuple(line for name in config.fakes if (line := _summed(name, found)))
    letters = (
        ["p is what the decoder believes of every entity, q what the fake proposes."]
        if config.proposes
        else []
    )
    letters += ["R is the regulariser of FiLM."] if config.film == "trained" else []
    words = (" ".join(letters),) if letters else ()
    return Formula(
        plain,
        lines,
        words,
        found.played.epoch if lines and found.played else None,
    )


def _summed(name: str, found: Seen) -> str:
    """L_G of a pathway as the sum of its terms, each with its weight; "" before the first round."""
    config, loss, fooling = found.config, found.pathway_loss(name), found.fooling(name)
    if loss is None or fooling is None:
        return ""
    terms = [number(fooling, 3)]
    if (entropy := found.entropy(name)) is not None:
        terms.append(rf"{config.ce_weight:g} \cdot {number(entropy, 3)}")
    if (film := found.film(name)) is not None:
        terms.append(rf"{_power(config.film_weight)} \cdot {number(film, 3)}")
    return rf"L_{{{_symbol(name)}}} = {' + '.join(terms)} \\ {{}} = {number(loss, 3)}"


# --- the discriminator -------------------------------------------------------------------------------------------


def _d(found: Seen) -> Formula:
    config = found.config
    sees = 2 * config.dim if config.conditional_d else config.dim
    heads = r"D_{adv},\, D_{aux}" if config.pathways == "both" else r"D_{adv}"
    what = r"[e, q]" if config.conditional_d else "e"
    return Formula(
        rf"{what} \to \text{{trunk}} \to \text{{logits of }} {heads}",
        (rf"\mathbb{{R}}^{{{sees}}} \to \mathbb{{R}}^{{50}} \to \mathbb{{R}}^{{32}} \to \mathbb{{R}}",)
        if config.fakes
        else (),
    )


def _d_adv(found: Seen) -> Formula:
    fakes = list(found.config.fakes) or ["G_E", "G_R"]
    part = r"\tfrac14" if len(fakes) == 2 else r"\tfrac12"
    told = [(name, value) for name in found.config.fakes if (value := found.taken_for_real(name)) is not None]
    of_fakes = [rf"{part} \operatorname{{BCE}}(D_{{adv}}(\tilde e_{{{_tex(name)}}}), 0)" for name in fakes]
    plain = r" \\ {} + ".join([r"L_{adv} = \tfrac12 \operatorname{BCE}(D_{adv}(e), 1)", *of_fakes])
    if found.played is None or found.played.d_real is None or found.played.d_adv is None:
        return Formula(plain)
    values = [(r"e", found.played.d_real), *((rf"\tilde e_{{{_tex(name)}}}", value) for name, value in told)]
    return Formula(
        plain,
        (
            rf"L_{{adv}} = {number(found.played.d_adv, 3)}",
            *(rf"\overline{{D_{{adv}}}}({of}) = {number(value, 3)}" for of, value in values),
        ),
        ("A bar is the mean probability of being real. A head that guesses has a loss of ln 2 = 0.693.",),
        found.played.epoch,
    )


def _d_aux(found: Seen) -> Formula:
    plain = (
        r"L_{aux} = \tfrac12 \operatorname{BCE}(D_{aux}(\tilde e_{E}), 0) \\ {} + "
        r"\tfrac12 \operatorname{BCE}(D_{aux}(\tilde e_{R}), 1)"
    )
    played = found.played
    if played is None or played.d_aux is None or played.aux_accuracy is None:
        return Formula(plain)
    return Formula(
        plain,
        (rf"L_{{aux}} = {number(played.d_aux, 3)}",),
        (f"It names the pathway of {share(played.aux_accuracy)} of the fakes; guessing has ln 2 = 0.693.",),
        played.epoch,
    )


def _l_d(found: Seen) -> Formula:
    config, played, loss = found.config, found.played, found.discriminator_loss()
    aux = config.pathways == "both" and config.aux_weight > 0
    plain = r"L_D = L_{adv} + w_{aux} L_{aux}" if aux else r"L_D = L_{adv}"
    if played is None or played.d_adv is None or loss is None:
        return Formula(plain)
    added = "" if played.d_aux is None else rf" + {config.aux_weight:g} \cdot {number(played.d_aux, 3)}"
    sums = rf"L_D = {number(played.d_adv, 3)}{added}"
    return Formula(plain, (f"{sums} = {number(loss, 3)}" if added else sums,), (), played.epoch)


# --- the negatives -----------------------------------------------------------------------------------------------


def _reading(found: Seen) -> Formula:
    config = found.config
    if config.fakes and not config.proposes:
        parts = [rf"{made} \text{{ of }} {_symbol(name)}" for name, made in config.fakes.items()]
        return Formula(r"s_k = \text{score}(q, \tilde e_k)", (r",\; ".join(parts),))
    names = list(config.fakes) or ["G_E", "G_R"]
    mixed = " + ".join(rf"q_{{{_tex(name)}}}" for name in names)
    shared = rf"\tfrac{{1 - \rho}}{{{len(names)}}} ({mixed})" if len(names) > 1 else rf"(1 - \rho) \, {mixed}"
    plain = (
        r"q(t \mid c) = \operatorname{softmax}_t \frac{\cos(\tilde e_c, e_t)}{\tau} \\ "
        rf"m = {shared} + \rho \, \tfrac1N"
    )
    if not config.fakes:
        return Formula(plain)
    each = (1 - config.random_share) / len(names)
    size = r"\tfrac1N" if found.kg is None else rf"\tfrac1{{{_int(found.kg.num_entities)}}}"
    mixture = " + ".join(
        [*(rf"{each:g} \, q_{{{_tex(name)}}}" for name in names), rf"{config.random_share:g} \cdot {size}"]
    )
    measured = found.diagnosis
    far = [
        f"{name} {number(health.proposed_kl, 2)}"
        for name in names
        if (health := found.health(name)) and health.proposed_kl is not None
    ]
    random = (
        [] if measured is None or measured.random_kl is None else [f"random {number(measured.random_kl, 2)}"]
    )
    return Formula(
        plain,
        (rf"\tau = {config.tau:g} \\ m = {mixture}",),
        (f"How far each proposal is from what the decoder believes (KL): {', '.join(far + random)}.",)
        if far
        else (),
        measured.epoch if far and measured else None,
    )


def _random(found: Seen) -> Formula:
    measured = found.diagnosis
    size = "" if found.kg is None else rf" = \frac1{{{_int(found.kg.num_entities)}}}"
    return Formula(
        r"t' \sim \mathcal{U}(E), \qquad P(t') = \frac1N",
        (rf"P(t'){size}",) if size else (),
        ()
        if measured is None
        else (
            f"{share(measured.random_false_negatives)} of random negatives are known facts: false negatives.",
        ),
        None if measured is None else measured.epoch,
    )


def _negatives(found: Seen) -> Formula:
    config, measured = found.config, found.diagnosis
    sampled = None if measured is None else measured.sampled
    words = (
        ()
        if sampled is None
        else (
            f"Each counted as it weighs, {share(sampled.outscores_positive)} outscore the answer, and "
            f"{share(sampled.false_negatives)} are known facts.",
        )
    )
    epoch = measured.epoch if sampled is not None and measured is not None else None
    if config.proposes:
        return Formula(
            r"t_k \sim m \\ w_k = K \operatorname{softmax}_k \big( T s_k - \log m(t_k) \big)",
            (rf"K = {config.negatives}, \qquad T = {config.temperature:g}",),
            words,
            epoch,
        )
    return Formula(r"(h, r, t'_1), \; \dots, \; (h, r, t'_K)", _counted(config), words, epoch)


def _counted(config: Config) -> tuple[str, ...]:
    if config.sampler == "one-vs-all":
        return (r"K = N - 1",)
    parts = [rf"{made} \text{{ of }} {_symbol(name)}" for name, made in config.fakes.items()]
    rest = config.negatives - sum(config.fakes.values())
    if not parts:
        return (rf"K = {config.negatives}",)
    parts += [rf"{rest} \text{{ random}}"] if rest else []
    return (rf"K = {config.negatives} = {' + '.join(parts)}",)


def _stops(found: Seen) -> Formula:
    return Formula(
        r"c = \operatorname{detach}(e_h) \text{ or } \operatorname{detach}(e_h \otimes e_r) \\ "
        r"\text{negatives from } \operatorname{detach}(\tilde e)"
    )


_FORMULAS: dict[str, Callable[[Seen], Formula]] = {
    "triplet": _triplet,
    "encoder": _encoder,
    "decoder": _decoder,
    "noise": _noise,
    "film": _film,
    "g_e": _pathway("G_E", "e_h"),
    "g_r": _pathway("G_R", r"e_h \otimes e_r"),
    "d": _d,
    "d_adv": _d_adv,
    "d_aux": _d_aux,
    "l_d": _l_d,
    "l_g": _l_g,
    "reading": _reading,
    "random": _random,
    "negatives": _negatives,
    "base_loss": _base_loss,
    "stops": _stops,
}


def _tex(name: str) -> str:
    """ "G_E" → "E", as an index."""
    return name[-1]


def _symbol(name: str) -> str:
    return rf"G_{name[-1]}"


def _int(value: int) -> str:
    return f"{value:,}".replace(",", r"{,}")


def _power(value: float) -> str:
    """A small weight as LaTeX has it, such as "10^{-4}" or "0.01"."""
    if not value or value >= 0.001:
        return f"{value:g}"
    digits, _, exponent = f"{value:e}".partition("e")
    factor = "" if float(digits) == 1 else rf"{float(digits):g} \cdot "
    return rf"{factor}10^{{{int(exponent)}}}"
