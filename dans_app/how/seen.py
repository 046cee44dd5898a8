"""What a run has told so far of the parts of the drawing: the numbers that stand in them and in their formulas."""

from __future__ import annotations

from dataclasses import dataclass

from dans_app.shared.run_history import RunHistory
from dans_core.config import Config
from dans_core.events import Diagnostics, Losses, PathwayHealth
from dans_core.kg import KnowledgeGraph
from dans_data.words import number, share


@dataclass(frozen=True)
class Seen:
    """A run as the drawing shows it.

    losses     of the newest epoch, None before the first
    played     of the newest epoch with a round of the game, None before the first
    diagnosis  the newest one
    kg         its graph, None where that cannot be read
    """

    config: Config
    losses: Losses | None
    played: Losses | None
    diagnosis: Diagnostics | None
    kg: KnowledgeGraph | None

    def pathway_loss(self, name: str) -> float | None:
        """L_G of a pathway in the newest round."""
        return None if self.played is None else getattr(self.played, _side("g", name))

    def film(self, name: str) -> float | None:
        """The FiLM regulariser of a pathway, before the factor λ."""
        return None if self.played is None else getattr(self.played, _side("film", name))

    def entropy(self, name: str) -> float | None:
        """The cross-entropy of a pathway's proposals, before the factor w_ce."""
        return None if self.played is None else getattr(self.played, _side("ce", name))

    def taken_for_real(self, name: str) -> float | None:
        """The mean probability that D_adv gives to the fakes of a pathway."""
        return None if self.played is None else getattr(self.played, _side("d_fake", name))

    def fooling(self, name: str) -> float | None:
        """What is left of L_G without cross-entropy and FiLM: w_adv · BCE(D_adv(ẽ), 1), with L_aux where G sees it."""
        loss = self.pathway_loss(name)
        if loss is None:
            return None
        entropy, film = self.entropy(name) or 0.0, self.film(name) or 0.0
        return loss - self.config.ce_weight * entropy - self.config.film_weight * film

    def discriminator_loss(self) -> float | None:
        """L_D = L_adv + w_aux · L_aux of the newest round."""
        if self.played is None or self.played.d_adv is None:
            return None
        return self.played.d_adv + self.config.aux_weight * (self.played.d_aux or 0.0)

    def health(self, name: str) -> PathwayHealth | None:
        """The newest diagnosis of a pathway."""
        return None if self.diagnosis is None else getattr(self.diagnosis, _side("g", name))


def seen(config: Config, history: RunHistory, kg: KnowledgeGraph | None) -> Seen:
    """What the events of a run have told so far."""
    return Seen(config, history.losses, history.played, history.diagnostics, kg)


def _side(what: str, name: str) -> str:
    return f"{what}_{name[-1].lower()}"


def notes(found: Seen) -> dict[str, str]:
    """The line below the title of each part: a number of the run, or a setting."""
    config, losses, played = found.config, found.losses, found.played
    fakes = list(config.fakes)
    loss_of = {name: found.pathway_loss(name) for name in fakes}
    each = [number(loss, 2) for loss in loss_of.values() if loss is not None]
    real = None if played is None else played.d_real
    right = None if played is None else played.aux_accuracy
    return {
        "triplet": "(h, r, t)" if found.kg is None else f"{len(found.kg.array('train')):,} facts",
        "encoder": f"{config.layers} layers, d = {config.dim}",
        "decoder": "score(q, t)",
        "noise": f"σ {config.sigma:g}",
        "film": "α, β",
        "g_e": _loss("L_G", loss_of.get("G_E")),
        "g_r": _loss("L_G", loss_of.get("G_R")),
        "d": _loss("L_D", found.discriminator_loss()),
        "d_adv": "real or fake?" if real is None else f"real {number(real, 2)}",
        "d_aux": "G_E or G_R?" if right is None else f"right {share(right)}",
        "l_d": number(found.discriminator_loss(), 2),
        "l_g": ", ".join(each) or "–",
        "reading": "as entities" if config.proposes else "as vectors",
        "random": _random(config),
        "negatives": _negatives(config),
        "base_loss": "–" if losses is None else number(losses.base, 2),
        "stops": "",
    }


def _loss(name: str, value: float | None) -> str:
    return "" if value is None else f"{name} {number(value, 2)}"


def _negatives(config: Config) -> str:
    if config.sampler == "one-vs-all":
        return "all others"
    return f"{config.negatives:,} {'an answer' if config.proposes else 'a query'}"


def _random(config: Config) -> str:
    if config.proposes:
        return share(config.random_share)
    if config.fakes:
        return f"{config.negatives - sum(config.fakes.values()):,}"
    return f"{config.negatives:,}" if config.sampler == "uniform" else ""
