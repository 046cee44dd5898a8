"""README.md of an exported model: what it was trained on and how, what it is worth, and how to use it without us."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from dans_core.config import Config
from dans_core.kg import KnowledgeGraph
from dans_core.ranking import RankingResult
from dans_data.words import listed, number
from dans_lab import warm_up
from dans_lab.names import DECODERS, METRICS, SAMPLERS
from dans_lab.runs.run import Run, Which

_LEVEL = 0.95

_COMPLEX = "(torch.complex(*x.chunk(2, -1)) for x in "

_SCORES = {
    "distmult": "scores = e @ (h * q)",
    "complex": f"h, q, e = {_COMPLEX}(h, q, e)); scores = (e.conj() @ (h * q)).real",
    "rotate": f"h, e = {_COMPLEX}(h, e)); scores = 12 - (h * torch.exp(1j * q) - e).abs().sum(-1)",
}
"""Scores of all entities as tails, from the vectors h of the head, q of the relation and e of all entities."""

_LOAD = (
    "import torch, safetensors.torch\n"
    'e, r = map(safetensors.torch.load_file("model.safetensors").get, ("entities", "relations"))\n'
    'E, R = ([x.rstrip("\\n").split("\\t", 1)[1] for x in open(f, encoding="utf-8")] '
    'for f in ("entities.tsv", "relations.tsv"))\n'
    "h, q = e[E.index({head})], r[R.index({relation})]\n"
    "{scores}\n"
    "print([E[i] for i in scores.argsort(descending=True)[:10]])\n"
)


@dataclass(frozen=True)
class OtherSeed:
    """What the same settings reached on test with another seed, and where that stands."""

    seed: int
    mrr: float
    found: str


Others = Callable[[Run, KnowledgeGraph], tuple[OtherSeed, ...]]
"""What finds the other seeds of a run on its graph."""


@dataclass(frozen=True)
class Interval:
    """The mean of a figure over seeds, and the 95 % interval of that mean by Student's t."""

    mean: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """Of at least two values."""
        mean, n = math.fsum(values) / len(values), len(values)
        sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
        half = float(stdtrit(n - 1, (1 + _LEVEL) / 2)) * sd / math.sqrt(n)
        return cls(mean, mean - half, mean + half, n)


@dataclass(frozen=True)
class Rated:
    """What a model is worth: its ranking of test and that by popularity alone, and the same settings with other seeds.

    `others` is None of weights that are not the usual ones, which no other run was ranked by.
    """

    ranked: RankingResult
    floor: RankingResult
    others: tuple[OtherSeed, ...] | None


def card(run: Run, kg: KnowledgeGraph, which: Which, epoch: int, rated: Rated, command: str) -> str:
    """The model card, in Markdown."""
    config = run.config
    parts = [
        f"# {_code(kg.name)}: {DECODERS[config.decoder]} trained with {SAMPLERS[config.sampler]}",
        f"Vectors of {kg.num_entities:,} entities and {kg.num_relations:,} relations that rank the answers to "
        "(head, relation, ?) and (?, relation, tail). A score compares answers to one query and is no probability.",
        "## Data",
        _data(run, kg),
        "## Training",
        _training(run, which, epoch, command),
        "## What it is worth",
        _worth(kg, config, rated),
        "## To use it",
        _use(kg, config),
        "## Files",
        _FILES.format(train=f"{len(kg.array('train')):,}"),
    ]
    return "\n\n".join(parts) + "\n"


def _data(run: Run, kg: KnowledgeGraph) -> str:
    sizes = ", ".join(f"{len(kg.array(split)):,} of {split}" for split in ("train", "valid", "test"))
    notes = "".join(f"\n- {_code(str(note))}" for note in kg.notes)
    return (
        f"{_code(kg.name)}, loaded from {_code(run.meta.source)}: {sizes} triplets, all in `triplets/`. "
        f"sha256 of the facts: `{kg.hash}`." + notes
    )


def _training(run: Run, which: Which, epoch: int, command: str) -> str:
    config, status = run.config, run.stored_status
    said = {
        "best": f"weights of epoch {epoch:,}, the best by valid MRR ({number(status.best_mrr)})",
        "last": f"last weights, of epoch {epoch:,}",
    }
    early = f"{told} " if (told := warm_up.told(config, epoch)) else ""
    together = "" if run.meta.processes == "1" else f"processes: {_code(run.meta.processes)}, "
    versions = listed([f"{name} {version}" for name, version in run.meta.versions.items()])
    return (
        f"An R-GCN encoder ({config.layers} layers, {config.dim} numbers an entity) and the decoder "
        f"{DECODERS[config.decoder]}; negatives: {SAMPLERS[config.sampler]}; seed {config.seed}; {status.epoch:,} of "
        f"{config.epochs:,} epochs. These are the {said[which]}. {early}The vectors come out of the encoder, so it is "
        f"not needed any more.\n\nAll settings are in `config.json`. To train it again:\n\n```\n{command}\n```\n\n"
        f"On {_code(run.meta.device)}, {run.meta.precision}, {together}with {versions}."
    )


def _worth(kg: KnowledgeGraph, config: Config, rated: Rated) -> str:
    if not rated.ranked.count:
        return "There are no test triplets, so nothing says what it is worth."
    rows = [
        "| filtered, both sides | " + " | ".join(METRICS.values()) + " |",
        "|---" * (len(METRICS) + 1) + "|",
    ]
    for name, found in (("this model", rated.ranked), ("popularity floor", rated.floor)):
        rows.append(f"| {name} | " + " | ".join(number(getattr(found, metric)) for metric in METRICS) + " |")
    words = [
        f"On {rated.ranked.count // 2:,} test triplets. Known answers of all splits are left out, ties count half. The "
        "floor ranks by how often train shows an entity in that place of the relation, without any model."
    ]
    if rated.ranked.mrr < rated.floor.mrr:
        words.append("**The model is below the floor: knowing popular entities alone ranks better.**")
    words.append(_seeds(config, rated))
    return "\n".join(rows) + "\n\n" + " ".join(words)


def _seeds(config: Config, rated: Rated) -> str:
    if rated.others is None:
        return f"This is one seed ({config.seed}): other seeds are ranked by their best weights, not by the last."
    if not rated.others:
        return (
            f"This is one seed ({config.seed}): no run was found that differs in nothing but the seed, so nothing says "
            "how much of the MRR is luck."
        )
    seeds = {config.seed: rated.ranked.mrr} | {other.seed: other.mrr for other in rated.others}
    over = Interval.of([seeds[seed] for seed in sorted(seeds)])
    places = list(dict.fromkeys(other.found for other in rated.others))
    return (
        f"Test MRR over {over.count} seeds ({', '.join(map(str, sorted(seeds)))}): {number(over.mean)}, 95 % interval "
        f"of the mean {number(over.low)} to {number(over.high)} (Student’s t); this one is seed {config.seed}. The "
        f"others: {_code(listed(places))}."
    )


def _use(kg: KnowledgeGraph, config: Config) -> str:
    head, relation, _ = next(kg.named("test" if len(kg.array("test")) else "train"))
    example = _LOAD.format(head=repr(head), relation=repr(relation), scores=_SCORES[config.decoder])
    return (
        "With torch and safetensors alone, the ten foremost tails of a query, known ones among them:\n\n"
        f"```python\n{example}```\n\n"
        f"Heads are asked for by the reciprocal relation, whose vector is that of the relation {kg.num_relations} rows "
        "further down. With DANS Lab, `load_run` of `dans_lab.prediction` and the commands `evaluate` and `predict` "
        "take this folder in place of a run, and rank as the run does, to the last digit."
    )


_FILES = """- `model.safetensors`: `entities` (N, dim) and `relations` (2R, …), float32
- `config.json`: settings, data set and hash, versions, seed, which weights these are
- `entities.tsv`, `relations.tsv`: number and name of each row, without a heading
- `triplets/train.txt`, `valid.txt`, `test.txt`: by name, for `TriplesFactory.from_path` of PyKEEN
- `triplets/`: `dataset.yaml` and `.del` files, as a folder under `data/` of LibKGE

An entity or a relation may be called `NA`, `null` or `nan`, which pandas takes for a missing value unless
`read_csv(…, keep_default_na=False)` says otherwise; the .tsv files here also want
`sep="\\t", header=None, quoting=3`."""


def _code(text: str) -> str:
    """Text of unknown origin, as it is; in Markdown it means nothing."""
    return "`" + text.replace("`", "'") + "`"
