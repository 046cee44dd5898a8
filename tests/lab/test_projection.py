"""Projections: the joint PCA and UMAP of snapshots, t-SNE of one, small cases, the cache on disk."""

from math import lcm

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dans_lab.map import projection
from dans_lab.map.projection import Axes, Moments, Projection
from tests.examples import examples


def groups(entities=40, fakes_e=20, fakes_r=60, dim=12, seed=0):
    random = np.random.default_rng(seed)
    return tuple(random.normal(size=(n, dim)).astype(np.float32) for n in (entities, fakes_e, fakes_r))


def crowds(snapshots=1, n=80, dim=8, seed=0):
    """The same points in every snapshot, six crowds of them, and their places by a joint PCA."""
    random = np.random.default_rng(seed)
    middles = 4 * random.normal(size=(6, dim))
    points = (middles[np.arange(n) % 6] + random.normal(size=(n, dim))).astype(np.float32)
    place = Axes.of([Moments.of([points])]).place(points)
    return np.stack([points] * snapshots), np.stack([place] * snapshots)


def made(epochs=(0, 5), total=6, method="umap"):
    points = np.arange(2 * total * len(epochs), dtype=np.float32).reshape(len(epochs), total, 2)
    each = len(epochs)
    return Projection(
        method, tuple(epochs), np.arange(total), points, np.full(each, 0.9), np.full(each, np.nan)
    )


# --- PCA


def repeated(snapshots):
    """All points as rows, each so often that all groups, and with them all snapshots, have as many."""
    size = lcm(*(len(group) for parts in snapshots for group in parts if len(group)))
    return [
        np.concatenate([np.repeat(group, size // len(group), axis=0) for group in parts if len(group)])
        for parts in snapshots
    ]


@examples(40)
@given(
    snapshots=st.integers(1, 4),
    sizes=st.tuples(st.integers(1, 12), st.integers(0, 8), st.integers(0, 9)),
    dim=st.integers(2, 7),
    seed=st.integers(0, 10_000),
)
def test_the_joint_pca_is_a_plain_one_of_all_snapshots_with_each_group_repeated(snapshots, sizes, dim, seed):
    parts = [groups(*sizes, dim=dim, seed=seed + i) for i in range(snapshots)]
    # Directions of almost equal variance are anyone's choice.
    parts = [tuple(group * np.geomspace(8, 1, dim, dtype=np.float32) for group in each) for each in parts]
    plain = repeated(parts)
    stacked = np.concatenate(plain).astype(np.float64)
    mean = stacked.mean(axis=0)
    sizes_of = np.linalg.svd(stacked - mean, full_matrices=False)
    moments = [Moments.of(each) for each in parts]
    axes = Axes.of(moments)
    np.testing.assert_allclose(axes.mean, mean, atol=1e-6)
    np.testing.assert_allclose(axes.directions.T @ axes.directions, np.eye(2), atol=1e-9)

    found = axes.place(stacked)
    spread = [*(sizes_of[1] ** 2 / len(stacked)), 0.0, 0.0]
    np.testing.assert_allclose(found.var(axis=0), spread[:2], rtol=1e-4, atol=1e-6)
    if spread[0] > 1.05 * spread[1] and spread[1] > 1.05 * spread[2]:
        expected = (stacked - mean) @ sizes_of[2][:2].T
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-3)

    for own, each in zip(plain, moments, strict=True):
        own = own.astype(np.float64)
        total = own.var(axis=0).sum()
        if total > 1e-9:
            held = ((own - own.mean(axis=0)) @ axes.directions).var(axis=0).sum()
            assert axes.explained(each) == pytest.approx(held / total, rel=1e-5, abs=1e-9)


def test_many_fakes_or_many_snapshots_of_one_kind_do_not_choose_the_picture():
    entities, fakes, _ = groups()
    none = fakes[:0]
    few = Axes.of([Moments.of([entities, fakes, none])])
    many = Axes.of([Moments.of([entities, np.repeat(fakes, 10, axis=0), none])])
    np.testing.assert_allclose(few.place(entities), many.place(entities), atol=1e-4)
    large = Axes.of([Moments.of([entities]), Moments.of([np.repeat(9 * fakes, 50, axis=0)])])
    small = Axes.of([Moments.of([entities]), Moments.of([9 * fakes])])
    np.testing.assert_allclose(large.place(entities), small.place(entities), atol=1e-4)


@pytest.mark.parametrize("dim", [1, 2, 6])
@pytest.mark.parametrize("total", [1, 2, 3, 14])
def test_a_handful_of_points_is_no_problem(total, dim):
    points = groups(entities=total, dim=dim)[0]
    axes = Axes.of([Moments.of([points, points[:0], points[:0]])])
    placed = axes.place(points)
    assert placed.shape == (total, 2) and np.isfinite(placed).all()
    shown = Projection("pca", (0,), np.arange(total), placed[None], np.array([np.nan]), np.array([np.nan]))
    left, right, bottom, top = shown.frame()
    assert left < right and bottom < top


def test_points_that_are_all_alike_are_no_problem():
    points = np.full((20, 6), 3.7, dtype=np.float32)
    moments = Moments.of([points])
    axes = Axes.of([moments, moments])
    np.testing.assert_allclose(axes.place(points), 0, atol=1e-5)
    assert np.isnan(axes.explained(moments))


def test_the_frame_of_a_pca_leaves_the_outermost_out_and_that_of_others_holds_all():
    points = np.random.default_rng(0).uniform(-1, 1, size=(1, 1000, 2)).astype(np.float32)
    points[0, 0] = 50
    nothing = np.array([np.nan])
    edges = {
        method: Projection(method, (0,), np.arange(1000), points, nothing, nothing).frame()
        for method in ("pca", "umap", "tsne")
    }
    assert edges["pca"][1] < 2 and edges["pca"][3] < 2
    assert edges["umap"][1] > 50 and edges["tsne"][3] > 50
    empty = Projection("umap", (0,), np.arange(0), points[:, :0], nothing, nothing)
    assert empty.frame() == (-1.0, 1.0, -1.0, 1.0)


# --- UMAP and t-SNE


def test_umap_holds_all_snapshots_and_is_the_same_again():
    points, start = crowds(snapshots=3, n=40)
    first, second = (projection.umap(points, start, seed=4) for _ in range(2))
    assert first.shape == (3, 40, 2) and first.dtype == np.float32 and np.isfinite(first).all()
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, projection.umap(points, start, seed=5))


def test_links_hold_the_snapshots_in_one_space(monkeypatch):
    """The same points twice: linked, each lies where it lay before; not linked, the two drift apart."""
    points, start = crowds(snapshots=2, n=120)

    def moved():
        flat = projection.umap(points, start)
        width = np.linalg.norm(np.ptp(flat.reshape(-1, 2), axis=0))
        return np.median(np.linalg.norm(flat[0] - flat[1], axis=1)) / width

    linked = moved()
    monkeypatch.setattr(projection, "SAME_POINT", 0.0)
    assert linked < 0.1 < 0.15 < moved()


@pytest.mark.filterwarnings("ignore:precomputed_knn")
def test_one_snapshot_is_the_umap_of_its_library():
    import umap

    points, start = crowds()
    fit = umap.UMAP(
        n_neighbors=projection.NEIGHBOURS,
        min_dist=projection.MIN_DISTANCE,
        n_epochs=2 * projection.FIT_EPOCHS,
        # It measures with a function of its own, and the last digit decides which way a point goes.
        precomputed_knn=projection._neighbours(points[0], projection.NEIGHBOURS),
        force_approximation_algorithm=True,
        init=projection._spread(start[0], 0),
        random_state=0,
        n_jobs=1,
    )
    expected = projection.turn(fit.fit_transform(points[0]), start[0])
    np.testing.assert_allclose(projection.umap(points, start)[0], expected, atol=1e-4)


@pytest.mark.parametrize("n", [15, 40, 300])
def test_the_neighbours_are_those_of_sklearn(n):
    from sklearn.neighbors import NearestNeighbors

    points = groups(entities=n)[0]
    found, distances = projection._neighbours(points, 15)
    fit = NearestNeighbors(n_neighbors=15, algorithm="brute").fit(points.astype(np.float64))
    expected, indices = fit.kneighbors(points.astype(np.float64))
    np.testing.assert_array_equal(found, indices)
    np.testing.assert_allclose(distances, expected, atol=1e-5)


def test_a_point_is_the_first_of_its_neighbours_even_among_copies():
    points = np.repeat(groups(entities=5)[0], 4, axis=0)
    found, distances = projection._neighbours(points, 6)
    np.testing.assert_array_equal(found[:, 0], np.arange(20))
    assert (distances[:, :4] < 1e-3).all() and (distances[:, 4:] > 0.1).all()


def test_tsne_takes_one_snapshot_alone():
    points, start = crowds(n=30)
    first, second = (projection.tsne(points, start) for _ in range(2))
    assert first.shape == (1, 30, 2) and np.isfinite(first).all()
    np.testing.assert_array_equal(first, second)
    with pytest.raises(ValueError, match="one snapshot"):
        projection.tsne(*crowds(snapshots=2, n=30))


@pytest.mark.parametrize("fit", [projection.umap, projection.tsne])
def test_fewer_points_than_can_be_placed_are_refused(fit):
    points, start = crowds(n=projection.SMALLEST - 1)
    with pytest.raises(ValueError, match=f"14 points are too few .* needs {projection.SMALLEST}"):
        fit(points, start)


def test_points_that_are_all_alike_are_placed_by_umap_and_tsne():
    points, start = np.ones((1, 20, 5), np.float32), np.zeros((1, 20, 2), np.float32)
    for fit in (projection.umap, projection.tsne):
        assert np.isfinite(fit(points, start)).all()


@given(seed=st.integers(0, 10_000))
def test_turning_finds_the_way_back_and_never_stretches(seed):
    random = np.random.default_rng(seed)
    target = random.normal(size=(30, 2))
    angle = random.uniform(0, 2 * np.pi)
    turned = target @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if seed % 2:
        turned[:, 0] *= -1
    target -= target.mean(axis=0)
    turned -= turned.mean(axis=0)
    np.testing.assert_allclose(projection.turn(turned, target), target, atol=1e-9)
    far = projection.turn(3 * turned, target)
    np.testing.assert_allclose(np.linalg.norm(far, axis=1), np.linalg.norm(3 * turned, axis=1))


# --- how far to trust it


@pytest.mark.parametrize("n", [4, 9, 50, 700])
def test_trustworthiness_is_that_of_sklearn(n):
    from sklearn.manifold import trustworthiness

    random = np.random.default_rng(n)
    points = random.normal(size=(n, 12))
    flat = points[:, :2] + 0.3 * random.normal(size=(n, 2))
    neighbours = min(projection.TRUST_NEIGHBOURS, (n - 1) // 2)
    expected = trustworthiness(points, flat, n_neighbors=neighbours)
    assert projection.trustworthiness(points, flat) == pytest.approx(expected)


def test_trustworthiness_is_one_for_the_points_themselves_half_by_chance_and_unknown_for_two():
    random = np.random.default_rng(0)
    points = random.normal(size=(300, 2))
    assert projection.trustworthiness(points, points) == pytest.approx(1.0)
    assert projection.trustworthiness(points, random.normal(size=(300, 2))) == pytest.approx(0.5, abs=0.05)
    assert np.isnan(projection.trustworthiness(points[:2], points[:2]))


def test_a_sample_of_a_large_graph_has_the_focus_and_keeps_to_its_limit():
    np.testing.assert_array_equal(projection.sample_rows(10, np.array([3])), np.arange(10))
    rows = projection.sample_rows(10_000, np.array([9_999, 5, 5]), limit=100)
    assert len(rows) == len(set(rows)) == 100 and {5, 9_999} <= set(rows)
    assert (np.diff(rows) > 0).all()
    assert len(projection.sample_rows(10_000, np.arange(500), limit=100)) == 100


# --- on disk


def test_a_kept_picture_is_the_same_picture_in_half_precision(tmp_path):
    picture = made()
    picture.points[:] = np.random.default_rng(0).normal(size=picture.points.shape) * 12
    projection.save(tmp_path / "new" / "folder", "key", picture)
    found = projection.load(
        [tmp_path / "missing", tmp_path / "new" / "folder"], "key", picture.epochs, picture.rows
    )
    assert found is not None and (found.method, found.epochs) == ("umap", (0, 5))
    np.testing.assert_array_equal(found.rows, picture.rows)
    np.testing.assert_allclose(found.points, picture.points, rtol=1e-3)
    assert found.points.dtype == np.float32
    np.testing.assert_array_equal(found.trust, picture.trust)
    np.testing.assert_array_equal(found.explained, picture.explained)
    assert [file.name for file in (tmp_path / "new" / "folder").iterdir()] == ["key.npz"]


def test_a_picture_of_other_snapshots_or_rows_is_not_taken_for_this_one(tmp_path):
    projection.save(tmp_path, "key", made())
    assert projection.load([tmp_path], "key", (0, 5), np.arange(6)) is not None
    assert projection.load([tmp_path], "key", (0, 6), np.arange(6)) is None
    assert projection.load([tmp_path], "key", (0,), np.arange(6)) is None
    assert projection.load([tmp_path], "key", (0, 5), np.arange(1, 7)) is None
    assert projection.load([tmp_path], "key", (0, 5), np.arange(7)) is None


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "pickle", "method", "shape", "missing"])
def test_a_damaged_picture_is_made_again(tmp_path, damage):
    projection.save(tmp_path, "key", made())
    file = tmp_path / "key.npz"
    with np.load(file) as kept:
        arrays = dict(kept)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:100])
    elif damage in ("text", "empty"):
        file.write_bytes(b"not a picture" if damage == "text" else b"")
    else:
        change = {
            "pickle": {"points": np.array([{}], dtype=object)},
            "method": {"method": np.array("magic")},
            "shape": {"points": arrays["points"][:, :3]},
            "missing": {},
        }[damage]
        if damage == "missing":
            del arrays["trust"]
        np.savez(file, **(arrays | change))
    assert projection.load([tmp_path], "key", (0, 5), np.arange(6)) is None


def test_a_picture_that_cannot_be_kept_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(stream, **_):
        stream.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError):
        projection.save(tmp_path, "key", made())
    assert not list(tmp_path.iterdir())


def test_a_key_depends_on_everything_that_went_in(monkeypatch):
    def keys():
        return {
            projection.key_of("umap", b"a", b"b"),
            projection.key_of("tsne", b"a", b"b"),
            projection.key_of("umap", b"ab", b""),
            projection.key_of("umap", b"a", b"b", np.arange(3)),
        }

    before = keys()
    assert len(before) == 4 and before == keys()
    monkeypatch.setattr(projection, "VERSION", projection.VERSION + 1)
    assert not before & keys()
