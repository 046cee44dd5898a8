"""Checkpoints of earlier versions: looked at as they were, and refused in one sentence where they cannot go on."""

from __future__ import annotations

import copy

import pytest
import torch

from dans_core import Config, Trainer
from dans_core.gan import Pathway
from dans_data.errors import InputError
from dans_lab.runs import earlier
from dans_lab.runs.drive import drive
from dans_lab.runs.weights import load_weights
from dans_lab.runs.writer import RunWriter

SMALL = {"epochs": 2, "warmup_epochs": 0, "dim": 8, "play_every": 1}
WITHOUT_FILM = Config(**SMALL, film="none")


def with_biases(generator: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A generator's weights with a bias before each batch norm, as an earlier version kept them, for the same fakes."""
    found = dict(generator)
    for name, mean in generator.items():
        if name.endswith("running_mean"):
            bias = torch.randn(len(mean), generator=torch.Generator().manual_seed(len(name)))
            found[name] = mean + bias
            found[name.replace("norms", "linears").replace("running_mean", "bias")] = bias
    assert len(found) == len(generator) + 4
    return found


def test_weights_with_biases_that_batch_norm_cancels_make_the_same_fakes(nations):
    trainer = Trainer(nations, WITHOUT_FILM)
    list(trainer)
    state = trainer.state_dict()
    own = state["networks"]["generator"]
    old = with_biases(own)
    # Whatever is in front of batch norm, the fakes are those of linear, bias and norm one after the other.
    pathway = Pathway(8, film="none")
    for layer in pathway.linears:
        layer.bias = torch.nn.Parameter(torch.zeros(8))
    pathway.load_state_dict({k.removeprefix("entity."): v for k, v in old.items() if k.startswith("entity.")})
    state["networks"]["generator"] = old
    looked_at = load_weights(state, nations, WITHOUT_FILM).generator
    start = torch.randn(9, 2, 8)
    torch.testing.assert_close(looked_at.entity(start, []), pathway.eval()(start, []))
    assert all(torch.allclose(value, own[name], atol=1e-6) for name, value in looked_at.state_dict().items())
    assert state["networks"]["generator"] is old and len(old) == len(own) + 4, "the checkpoint stays as it is"


def test_with_film_its_biases_stay(nations):
    networks = Trainer(nations, Config(**SMALL)).networks.state_dict()
    assert any(name.endswith("linears.0.bias") for name in networks["generator"])
    assert earlier.mended(networks, Config(**SMALL)) is networks
    earlier.refuse({"networks": networks, "sampler": {}, "pending": []}, Config(**SMALL))


@pytest.mark.parametrize("change", ["news", "sampler", "biases"])
def test_a_run_that_cannot_go_on_says_why_and_nothing_of_it_is_touched(tmp_path, nations, change):
    with RunWriter.create(tmp_path, "a-run", WITHOUT_FILM, nations.name, nations.hash, "nations") as writer:
        stages = iter([False] * 3)
        assert drive(writer, Trainer(nations, WITHOUT_FILM), lambda: next(stages, True)) == "stopped"
    with RunWriter.reopen(writer.path) as again:
        state = again.state
        if change == "news":
            state["pending"] = '{"event": "losses"}'
        elif change == "sampler":
            del state["sampler"]
        else:
            state["networks"]["generator"] = with_biases(state["networks"]["generator"])
        trainer = Trainer(nations, WITHOUT_FILM)
        before = copy.deepcopy(trainer.networks.state_dict())
        assert drive(again, trainer, lambda: False) == "failed"
        assert "of an earlier version, so the run can be looked at but not go on" in again.status.reason
        after = trainer.networks.state_dict()
        assert all(
            torch.equal(before[part][name], after[part][name]) for part in before for name in before[part]
        )


def test_a_checkpoint_of_before_without_news_goes_on():
    earlier.refuse({"networks": {}, "sampler": {}, "pending": ""}, WITHOUT_FILM)
    with pytest.raises(InputError, match="of an earlier version"):
        earlier.refuse({"networks": {}, "pending": ""}, WITHOUT_FILM)
