"""The drawing in words: sentences whose names of parts are buttons, as lists of texts and of (part, text)."""

from __future__ import annotations

from dans_core.config import Config

Words = list[str | tuple[str, str]]


def prose(config: Config) -> list[Words]:
    """Three short paragraphs on a run with these settings: the base model, the game, and what comes of it."""
    return [_base(), _game(), _negatives(config)]


def _base() -> Words:
    return [
        "A ", ("triplet", "triplet"), " asks for its tail and for its head. The ", ("encoder", "R-GCN encoder"),
        " gives entities their vectors, the ", ("decoder", "decoder"), " scores every answer, and the ",
        ("base_loss", "base loss"), " trains both to score true answers above ", ("negatives", "negatives"), ".",
    ]  # fmt: skip


def _game() -> Words:
    return [
        "From ", ("noise", "noise"), " around what they are given, two pathways make fakes: ", ("g_e", "G_E"),
        " knows the head, ", ("g_r", "G_R"), " head and relation; ", ("film", "FiLM"),
        " adapts each to its condition. ",
        ("d", "D"), " judges them: ", ("d_adv", "D_adv"), " says real or fake, ", ("d_aux", "D_aux"),
        " which pathway. ", ("l_d", "L_D"), " trains D, ", ("l_g", "L_G"), " the pathways.",
    ]  # fmt: skip


def _negatives(config: Config) -> Words:
    read: Words = (
        ["A fake is ", ("reading", "read"), " as a proposal of the entities near it, which joins a ",
         ("random", "random"), " share; the negatives are drawn from the two. "]
        if config.proposes or not config.fakes
        else ["A fake is ", ("reading", "read"), " as a negative itself, beside ", ("random", "random"), " entities. "]
    )  # fmt: skip
    return [*read, ("stops", "Gradients stop"), " at the bars ∥, so the game never moves the base model."]
