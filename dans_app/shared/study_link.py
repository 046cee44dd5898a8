"""A study that is being put together, as the address of the Studies screen spells it: from there and back again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dans_app.server import graph
from dans_core.config import Config
from dans_lab.budget.recipe import config_for
from dans_lab.study.draft import NOT_HERE, Draft

NEW = "new"
"""The parameter that opens the form."""

LONGEST = 1_000
"""Characters of an address that are looked at for one field."""

_MOST_SETTINGS = 12

_MINUTES = "2"
"""A budget in minutes that is a beginning."""


def query(draft: Draft) -> dict[str, str]:
    """The parameters of an address that opens the form with this filled in."""
    return {NEW: "1"} | {
        "data": draft.dataset,
        "samplers": ",".join(draft.samplers),
        "decoders": ",".join(draft.decoders),
        "seeds": draft.seeds,
        "spend": draft.budget,
        "amount": draft.amount,
        "settings": settings_text(draft.settings),
        "name": draft.name,
    }


def parse(raw: Callable[[str], str | None], datasets: Sequence[str]) -> tuple[Draft, list[str]]:
    """What an address asks for, by what `raw` says of each parameter, and what it asks for that there is not.

    Names of samplers, decoders and settings are looked at by the draft itself.
    """
    usual, problems = Draft(), []

    def said(name: str, default: str) -> str:
        text = raw(name)
        return default if text is None else text[:LONGEST]

    def some(name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        text = raw(name)
        return default if text is None else tuple(dict.fromkeys(filter(None, text[:LONGEST].split(","))))

    dataset = said("data", usual.dataset)
    if dataset not in datasets:
        problems += [f"data set “{dataset}”"] if raw("data") is not None else []
        dataset = usual.dataset if usual.dataset in datasets else next(iter(datasets), usual.dataset)
    spend = said("spend", usual.budget)
    if spend not in ("epochs", "minutes"):
        problems.append(f"a budget in “{spend}”")
    pairs = (each.partition("=") for each in said("settings", "").split(";")[:_MOST_SETTINGS])
    settings = {name: values for name, _, values in pairs if name}
    if unknown := [name for name in settings if name not in Config.model_fields or name in NOT_HERE]:
        problems.append(f"the setting “{unknown[0]}”")
    made = Draft(
        dataset,
        some("samplers", usual.samplers),
        some("decoders", usual.decoders),
        said("seeds", usual.seeds),
        "minutes" if spend == "minutes" else "epochs",
        said("amount", _MINUTES if spend == "minutes" else _epochs(dataset, usual)),
        {name: values for name, values in settings.items() if name not in unknown},
        said("name", ""),
    )
    return made, problems


def usual(draft: Draft) -> dict[str, str]:
    """What the parameters are that no address need say, beside the data set and the kind of budget of this one."""
    given = {"data": draft.dataset, "spend": draft.budget}
    return query(parse(given.get, [draft.dataset])[0])


def settings_text(settings: Mapping[str, str]) -> str:
    """Settings with their values as one parameter has them."""
    return ";".join(f"{name}={values}" for name, values in settings.items())


def _epochs(dataset: str, usual: Draft) -> str:
    """As many epochs as fit a graph of this size."""
    sizes = graph.sizes(dataset)
    return usual.amount if sizes is None else str(config_for(sizes.train, {"sampler": "dans"}).epochs)
