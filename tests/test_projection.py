"""Projections: joint fits, small cases, sameness, the cache on disk and the thread in the background."""

import threading

import numpy as np
import pytest

from dans_app import projection
from dans_app.projection import Projection
from dans_app.projector import Job, Projector


def groups(entities=40, fakes_e=20, fakes_r=60, dim=12, seed=0):
    random = np.random.default_rng(seed)
    return tuple(random.normal(size=(n, dim)).astype(np.float32) for n in (entities, fakes_e, fakes_r))


def made(total=6, method="umap"):
    points = np.arange(2 * total, dtype=np.float32).reshape(total, 2)
    return Projection(method, points, 0.9, float("nan"))


@pytest.fixture
def projector(monkeypatch):
    """A projector that does not load UMAP."""
    monkeypatch.setattr(Projector, "_compile", lambda self: self._warm.set())
    return Projector()


# --- PCA


def test_pca_holds_every_entity_and_fake_in_order():
    parts = groups()
    shown = projection.pca(parts)
    assert shown.points.shape == (120, 2)
    assert not np.isnan(shown.points).any()
    assert 0 < shown.explained <= 1 and 0 < shown.trust <= 1


def test_pca_is_the_projection_on_the_two_largest_directions():
    points = groups(entities=50, fakes_e=0, fakes_r=0)[0]
    shown = projection.pca([points, points[:0], points[:0]])
    centred = points - points.mean(axis=0)
    _, sizes, right = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ right[:2].T
    np.testing.assert_allclose(np.abs(shown.points), np.abs(expected), atol=1e-4)
    assert shown.explained == pytest.approx((sizes[:2] ** 2).sum() / (sizes**2).sum(), rel=1e-5)


def test_many_fakes_do_not_choose_the_picture():
    """Each group counts the same: ten times the same fakes give the same directions."""
    entities, fakes, _ = groups()
    none = fakes[:0]
    few = projection.pca([entities, fakes, none], trust=False).points
    many = projection.pca([entities, np.repeat(fakes, 10, axis=0), none], trust=False).points
    np.testing.assert_allclose(few[: len(entities)], many[: len(entities)], atol=1e-4)


def test_pca_is_turned_to_match_the_picture_before():
    entities, fakes, more = groups()
    before = projection.pca([entities, fakes, more]).points[: len(entities)]
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(12, 12)))[0]
    after = projection.pca([part @ turn for part in (entities, fakes, more)], before)
    np.testing.assert_allclose(after.points[: len(entities)], before, atol=1e-3)


@pytest.mark.parametrize("total", [1, 2, 3, 4, 14])
def test_a_handful_of_points_is_no_problem(total):
    points = groups(entities=total)[0]
    shown = projection.pca([points, points[:0], points[:0]])
    assert shown.points.shape == (total, 2)
    assert np.isfinite(shown.points).all()
    (left, right), (bottom, top) = shown.frame()
    assert left < right and bottom < top


def test_points_that_are_all_alike_are_no_problem():
    points = np.ones((20, 6), dtype=np.float32)
    shown = projection.pca([points, points[:0], points[:0]])
    assert np.isfinite(shown.points).all() and np.isnan(shown.explained)


# --- UMAP


def test_umap_refuses_fewer_points_than_it_can_place():
    points = groups(entities=10, fakes_e=2, fakes_r=2)
    with pytest.raises(ValueError, match="too few"):
        projection.umap(points, np.zeros((14, 2), np.float32))


def test_umap_places_all_and_the_same_again():
    parts = groups()
    start = projection.pca(parts).points
    first, second = (projection.umap(parts, start) for _ in range(2))
    assert first.method == "umap" and first.points.shape == (120, 2)
    assert not np.isnan(first.points).any()
    np.testing.assert_array_equal(first.points, second.points)
    some = projection.umap(parts, start, rows=np.arange(0, 120, 2))
    assert np.isnan(some.points[1::2]).all() and not np.isnan(some.points[::2]).any()
    assert np.isfinite(some.frame()).all()


def test_umap_with_distances_of_our_own_is_umap():
    import umap

    parts = groups()
    start = projection.pca(parts).points
    fit = umap.UMAP(
        n_neighbors=projection.NEIGHBOURS,
        min_dist=projection.MIN_DISTANCE,
        init=projection._spread(start, 0),
        random_state=0,
        n_jobs=1,
    )
    flat = fit.fit_transform(np.concatenate(parts).astype(np.float64))
    np.testing.assert_array_equal(
        projection._turn(flat, flat, start).astype(np.float32), projection.umap(parts, start).points
    )


def test_umap_of_a_process_of_its_own_is_the_same():
    parts = groups()
    start = projection.pca(parts).points
    rows = np.arange(0, 120, 2)
    for chosen in (None, rows):
        here, there = projection.umap(parts, start, chosen), projection.umap_aside(parts, start, chosen)
        np.testing.assert_array_equal(here.points, there.points)
        assert (here.method, here.trust) == (there.method, there.trust)
    with pytest.raises(RuntimeError, match="too few"):
        projection.umap_aside(parts, start, rows[:14])


@pytest.mark.parametrize("n", [4, 9, 50, 700])
def test_trustworthiness_is_that_of_sklearn(n):
    from sklearn.manifold import trustworthiness

    random = np.random.default_rng(n)
    points = random.normal(size=(n, 12))
    flat = points[:, :2] + 0.3 * random.normal(size=(n, 2))
    neighbours = min(projection.TRUST_NEIGHBOURS, (n - 1) // 2)
    expected = trustworthiness(points, flat, n_neighbors=neighbours)
    assert projection.trustworthiness(points, flat) == pytest.approx(expected)


def test_trustworthiness_is_one_for_the_points_themselves_and_half_by_chance():
    random = np.random.default_rng(0)
    points = random.normal(size=(300, 2))
    assert projection.trustworthiness(points, points) == pytest.approx(1.0)
    assert projection.trustworthiness(points, random.normal(size=(300, 2))) == pytest.approx(0.5, abs=0.05)


def test_a_sample_of_a_large_graph_has_the_focus_and_keeps_to_its_limit():
    np.testing.assert_array_equal(projection.sample_rows(10, np.array([3])), np.arange(10))
    rows = projection.sample_rows(10_000, np.array([9_999, 5, 5]), limit=100)
    assert len(rows) == len(set(rows)) == 100 and {5, 9_999} <= set(rows)
    assert len(projection.sample_rows(10_000, np.arange(500), limit=100)) == 100


# --- on disk


def test_a_kept_picture_is_the_same_picture(tmp_path):
    projection.save(tmp_path / "new" / "folder", "key", made())
    found = projection.load([tmp_path / "missing", tmp_path / "new" / "folder"], "key", 6)
    assert found is not None and found.method == "umap" and found.trust == pytest.approx(0.9)
    np.testing.assert_array_equal(found.points, made().points)
    assert [file.name for file in (tmp_path / "new" / "folder").iterdir()] == ["key.npz"]


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "size", "pickle"])
def test_a_damaged_picture_is_made_again(tmp_path, damage):
    projection.save(tmp_path, "key", made())
    file = tmp_path / "key.npz"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:100])
    elif damage == "pickle":
        np.savez(file, method=np.array("umap"), points=np.array([{}], dtype=object), trust=1.0, explained=1.0)
    elif damage != "size":
        file.write_bytes(b"" if damage == "empty" else b"not a picture")
    assert projection.load([tmp_path], "key", 7 if damage == "size" else 6) is None


def test_a_key_depends_on_everything_that_went_in():
    keys = {
        projection.key_of("umap", b"a", b"b"),
        projection.key_of("pca", b"a", b"b"),
        projection.key_of("umap", b"ab", b""),
        projection.key_of("umap", b"a", b"b", np.arange(3)),
    }
    assert len(keys) == 4


# --- in the background


def test_a_picture_is_computed_once_and_kept(projector, tmp_path):
    calls = []
    job = Job(tmp_path, "key")

    def compute():
        calls.append(1)
        return made()

    projector.submit(job, compute)
    assert projector.wait(job, 10)
    projector.submit(job, compute)
    assert projector.wait(job, 10) and calls == [1]
    assert isinstance(projector.result(job), Projection)
    assert projection.load([tmp_path], "key", 6) is not None


def test_a_failure_is_told_in_words_and_ends_nothing(projector, tmp_path):
    bad, good = Job(tmp_path, "bad"), Job(tmp_path, "good")
    projector.submit(bad, lambda: 1 / 0)
    projector.submit(good, made)
    assert projector.wait(bad, 10) and projector.wait(good, 10)
    assert projector.result(bad) == "division by zero"
    assert isinstance(projector.result(good), Projection)


def test_the_picture_asked_for_last_comes_first_and_old_requests_are_dropped(projector, tmp_path):
    go, begun, order = threading.Event(), threading.Event(), []

    def blocking():
        begun.set()
        assert go.wait(10)
        return made()

    def noting(name):
        def compute():
            order.append(name)
            return made()

        return compute

    projector.submit(Job(tmp_path, "first"), blocking)
    assert begun.wait(10)
    for name in "abcdef":
        projector.submit(Job(tmp_path, name), noting(name))
    assert not projector.busy(Job(tmp_path, "a")) and projector.busy(Job(tmp_path, "f"))
    go.set()
    for name in "cdef":
        assert projector.wait(Job(tmp_path, name), 10)
    assert order == ["f", "e", "d", "c"]


def test_a_folder_that_cannot_be_written_is_no_failure(projector, tmp_path):
    (tmp_path / "file").write_text("in the way")
    job = Job(tmp_path / "file" / "below", "key")
    projector.submit(job, made)
    assert projector.wait(job, 10) and isinstance(projector.result(job), Projection)
