"""The formulas of `budget`: bytes and seconds of a run, of what the code holds and does in a step.

All numbers were *measured* on one core of one machine, with float32 and one thread.
"""

from __future__ import annotations

from dans_core.config import Config
from dans_core.declaration import Work
from dans_lab.budget.game import cost_of
from dans_lab.budget.sizes import Sizes
from dans_lab.runs.snapshot_sample import MOST_ENTITIES, MOST_QUERIES
from dans_lab.runs.snapshot_schema import D_AUX, GAN, SAMPLE, file_bytes


class Steps:
    """How much is in a step: `count` an epoch, P pairs, Q distinct queries, C distinct heads, S slots of messages.

    The distinct ones are bounds, met where all queries, or heads, have equally many answers.
    """

    def __init__(self, config: Config, sizes: Sizes) -> None:
        batch = min(config.batch_size, sizes.train)
        self.count = -(-sizes.train // config.batch_size)
        self.pairs = 2 * batch
        share = batch / sizes.train
        self.queries = _distinct(sizes.queries, 2 * sizes.train, share)
        self.heads = _distinct(min(sizes.entities, 2 * sizes.train), 2 * sizes.train, share)
        self.slots = _distinct(sizes.queries, 2 * sizes.train, config.message_split)
        cells = self.queries * sizes.entities
        self.shared = config.shared > 1 and config.declaration.shares
        self.has_table = not self.shared and cells <= min(1 << 24, 8 * (1 + config.negatives) * self.pairs)
        self.cells = cells if self.has_table else 0.0
        self.work = Work(
            entities=sizes.entities,
            relations=sizes.relations,
            train=sizes.train,
            queries=sizes.queries,
            near=_near(config, sizes),
            pairs=self.pairs,
            asked=self.queries,
            heads=self.heads,
        )


def _distinct(kinds: int, members: int, share: float) -> float:
    """How many of these kinds are in a share of their members, which are spread evenly over them."""
    return kinds * (1 - (1 - share) ** (members / max(kinds, 1)))


def _near(config: Config, sizes: Sizes) -> float:
    """Pairs of an entity and one near it, as `samplers.neighbourhood` keeps them; several paths reach the same one."""
    near = 2 * sizes.train if config.hops == 1 else 0.65 * sizes.paths * 4.0 ** (config.hops - 2)
    return min(near, float(1 << 26), float(sizes.entities) ** 2)


# --- memory ---------------------------------------------------------------------------------------------------------

_PROGRAM = 370e6
"""Bytes of Python, torch and the other imports, with what torch sets up when first used; *measured* 322 + 48 MB."""


def memory(config: Config, sizes: Sizes, steps: Steps) -> float:
    """Bytes at the peak, in float32 (4 bytes) and int64 (8).

    Peaks are above the sum of what is held at one time, since freed memory is kept and not all of it fits what is asked
    for next: the factors contain that.
    """
    n, dim = sizes.entities, config.dim
    data = 450 * sizes.train + 700 * sizes.valid + 500 * n
    # The parameter, its gradient, two moments, the best copy, an average; then of each layer what the way back needs.
    model = (5 + (config.average > 0) + 4 * config.layers) * 4 * n * dim
    # Shares of the messages' gradients, slot by slot; the matrix of each edge type, and its gradient.
    messages = 4 * dim * steps.slots
    if are_sparse(config, n):
        messages += 2 * config.layers * 4 * 2 * sizes.relations * dim**2
    sampler, work = config.declaration, steps.work
    drawn = config.negatives if sampler.draws else 1
    batch = (
        5 * 4 * dim * steps.queries
        + (4 if steps.shared else 6) * 8 * steps.pairs * drawn
        + 6 * 4 * steps.cells
    )
    # Scores of a ranking and its flags; in the end the floor's table of relations and entities.
    ranking = 4 * 4 * min(1 << 22, 2 * sizes.valid * n)
    floor = 4 * 2 * sizes.relations * n if sizes.valid else 0
    cost = cost_of(sampler)
    # The pathways train before the base model does, when nothing of its batch is there yet.
    in_a_step = messages + max(batch, cost.before_bytes(config, work)) + cost.step_bytes(config, work)
    training = model + max(in_a_step, ranking + floor)
    kept = cost.kept_bytes(config, work)
    return _PROGRAM + data + kept + max(training, cost.begin_bytes(config, work))


def are_sparse(config: Config, entities: int) -> bool:
    """Whether messages go edge type by edge type, not through tables of all pairs of entities."""
    return config.bases * entities**2 > 1 << 20


# --- time -----------------------------------------------------------------------------------------------------------

_FLOP = 1.7e-11
"""Seconds of a multiplication or an addition in the encoder's products of messages, with what is gathered for them …"""

_DENSE_FLOP = 1.0e-11
"""… and in those of tables of edge weights."""

_CHOSEN = {"distmult": 2.8e-9, "complex": 2.8e-9, "rotate": 4.5e-9}
"""Seconds for each number of a chosen entity's vector, scored and its gradient made."""

_SHARED = {"distmult": 2.5e-10, "complex": 2.5e-10, "rotate": 1.8e-9}
"""The same where the pairs of a group share their negatives."""

_FORWARD = {"distmult": 0.8e-9, "complex": 0.8e-9, "rotate": 3.0e-9}
"""The same for a score alone."""

_TABLE = {"distmult": 1.0e-10, "complex": 1.1e-10, "rotate": 1.6e-9}
"""Seconds for each cell and number of a table of scores and its gradient …"""

_RANKED = {"distmult": 2.0e-11, "complex": 2.0e-11, "rotate": 4.5e-10}
"""… and of a table of scores alone."""

# Queries of a measurement at most, and draws for each.
_STUDIED, _DRAWS = 2_000, 5


def encode_seconds(config: Config, entities: int, slots: float) -> float:
    """The encoder's way forward."""
    return 0.0015 + _products(config, entities, slots)


def _products(config: Config, n: int, slots: float) -> float:
    dim, layers = config.dim, config.layers
    if are_sparse(config, n):
        return _FLOP * layers * 2 * (n + slots) * dim**2
    return _DENSE_FLOP * layers * 2 * config.bases * (n**2 * dim + n * dim**2)


def base_seconds(config: Config, sizes: Sizes, steps: Steps) -> float:
    """A step of the base model on uniform negatives: encoding, scores, gradients and the optimizer."""
    dim, n = config.dim, sizes.entities
    if not config.declaration.draws:
        scores = 0.003 + steps.queries * n * dim * max(7e-11, 0.9 * _TABLE[config.decoder])
    elif steps.has_table:
        scores = 0.001 + steps.cells * dim * _TABLE[config.decoder] + 5e-9 * steps.pairs * config.negatives
    elif steps.shared:
        scores = steps.pairs * (_CHOSEN[config.decoder] + config.negatives * _SHARED[config.decoder]) * dim
    else:
        scores = steps.pairs * (1 + config.negatives) * dim * _CHOSEN[config.decoder]
    return 0.0035 + 3.2 * _products(config, n, steps.slots) + scores


def own_seconds(config: Config, steps: Steps) -> float:
    """What the sampler adds to a step of the base model."""
    cost, work = cost_of(config.declaration), steps.work
    in_table, elsewhere = cost.draw
    draws, scored = cost.draws(config, work), cost.scored(config, work) * config.dim
    if steps.has_table:
        drawing = draws * in_table
    elif steps.shared:
        drawing = draws * in_table + scored * _SHARED[config.decoder] / 3
    else:
        drawing = draws * elsewhere + scored * _FORWARD[config.decoder]
    return drawing + cost.step(config, work)


def run_seconds(config: Config, sizes: Sizes, steps: Steps) -> float:
    """All epochs, rankings, measurements and snapshots."""
    own = own_seconds(config, steps)
    with_own = config.epochs - (config.warmup_epochs if config.waits else 0)
    total = steps.count * (config.epochs * base_seconds(config, sizes, steps) + with_own * own)
    total += steps.count * cost_of(config.declaration).begin(config, steps.work) * own
    encode = 0.001 + encode_seconds(config, sizes.entities, sizes.queries)
    scores = 2 * sizes.valid * sizes.entities
    ranking = encode + scores * (_RANKED[config.decoder] * config.dim + 1e-9)
    check, snapshot = 0.002 + encode, encode
    if config.fakes:
        studied = min(_STUDIED, sizes.queries) + min(_STUDIED, sizes.entities)
        nearest = studied * sizes.entities * config.dim * 2e-11
        check += _DRAWS * nearest + 17e-6 * studied
        snapshot += nearest + 8e-6 * studied
    else:
        check += own * min(1.0, _STUDIED / steps.pairs)
    rankings = (config.epochs // config.eval_every + 1) * bool(sizes.valid)
    checks, snapshots = config.epochs // config.diagnose_every + 1, config.epochs // config.snapshot_every + 2
    return total + rankings * ranking + checks * check + snapshots * snapshot


# --- disk -----------------------------------------------------------------------------------------------------------


def disk(config: Config, sizes: Sizes, steps: Steps) -> float:
    """Bytes of a run directory: snapshots, events, and the two checkpoints."""
    dim, relations = config.dim, 2 * sizes.relations
    cost, work = cost_of(config.declaration), steps.work
    queries, entities = min(sizes.queries, MOST_QUERIES), min(sizes.entities, MOST_ENTITIES)
    held = {"N": sizes.entities, "S": entities, "Q": queries, "C": min(sizes.entities, queries)}
    held |= {"2R": relations, "d": dim, "d_r": dim // 2 if config.decoder == "rotate" else dim}
    there = {GAN, D_AUX, *config.fakes} if config.fakes else set()
    snapshot = file_bytes(held, there | ({SAMPLE} if entities < sizes.entities else set()))
    snapshots = config.epochs // config.snapshot_every + 2
    layer = (config.bases + 1) * dim * dim + relations * config.bases + dim
    model = dim * (sizes.entities + relations) + config.layers * layer
    # last.pt: weights, two Adam moments, best weights, and those that an average is of; best.pt: weights. Both may hold
    # what a sampler keeps.
    checkpoints = 5 * 4 * (model + cost.weights(config, work)) + 4 * cost.saved(config, work)
    checkpoints += 4 * model * (config.average > 0)
    events = config.epochs * (420 if config.fakes else 330) + config.epochs // config.eval_every * 220
    events += config.epochs // config.diagnose_every * 850
    return snapshots * snapshot + checkpoints + events
