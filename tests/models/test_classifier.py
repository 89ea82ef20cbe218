"""Naming by z_what: ridge, clusters, and scikit-learn's files."""

from __future__ import annotations

from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spacetime_env.models.classifier import LinearClassifier, export_joblib, fit_clusters, fit_ridge, import_joblib

CENTERS = {"Player": (0.0, 30.0, 0.0), "Enemy": (1.0, -30.0, 0.2), "Ball": (-1.0, 0.0, 0.4)}


def samples(names: tuple[str, ...], count: int = 20, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """z_what whose numbers have very different scales, so that standardising matters."""
    generator = np.random.default_rng(seed)
    labels = [name for name in names for _ in range(count)]
    centers = np.array([CENTERS[name] for name in labels])
    z_what = centers + generator.normal(size=centers.shape) * (0.6, 20.0, 0.15)
    return z_what.astype(np.float32), labels


@pytest.mark.parametrize("names", [("Player", "Ball"), ("Player", "Enemy", "Ball")])
def test_ridge_is_scikit_learns_pipeline(names: tuple[str, ...]) -> None:
    z_what, labels = samples(names)
    ours = fit_ridge(z_what, labels, names)
    assert ours.coef.shape == (len(names), 3) and ours.class_names == names
    assert ours.coef.dtype == ours.intercept.dtype == np.float32 and ours.coef.flags.c_contiguous
    theirs = make_pipeline(StandardScaler(), RidgeClassifier()).fit(z_what, labels)
    fresh, truth = samples(names, 500, seed=1)
    assert (ours.predict(fresh) == theirs.predict(fresh)).mean() > 0.998  # ties are cut in float32
    assert 0.8 < (ours.predict(fresh) == np.array(truth)).mean() < 1  # not so easy that anything would do
    # The scores too: standardisation is folded in.
    scores = fresh @ ours.coef.T + ours.intercept
    theirs_scores = theirs.decision_function(fresh)
    if len(names) == 2:  # one row, for the class that is second by name
        assert np.allclose(scores[:, names.index("Player")], theirs_scores, atol=1e-4)
        assert np.allclose(scores[:, names.index("Ball")], -theirs_scores, atol=1e-4)
    else:
        order = [sorted(names).index(name) for name in names]
        assert np.allclose(scores, theirs_scores[:, order], atol=1e-4)


def test_ridge_by_hand() -> None:
    """z = -1, 1 and targets -1, 1: the weight is sum(z * y) / (sum(z * z) + 1) = 2 / 3, the bias 0."""
    found = fit_ridge(np.array([[-1.0], [1.0]]), ["a", "b"], ("a", "b"))
    assert np.allclose(found.coef, [[-2 / 3], [2 / 3]], atol=1e-5) and np.allclose(found.intercept, 0)
    assert found.predict(np.array([[0.1], [-5]])).tolist() == ["b", "a"]
    assert found.class_ids(np.array([[0.1], [-5]])).tolist() == [1, 0]
    assert found.predict(np.zeros((0, 1))).tolist() == []


def test_a_class_without_samples_is_never_predicted() -> None:
    z_what, labels = samples(("Player", "Ball"))
    found = fit_ridge(z_what, labels, ("Enemy", "Player", "Ball"))
    fresh = np.random.default_rng(0).normal(size=(200, 3)) * (10, 200, 10)
    assert set(found.predict(fresh)) == {"Player", "Ball"}


def test_one_class() -> None:
    found = fit_ridge(np.array([[1.0, 2.0]]), ["Ball"], ("Player", "Ball"))
    assert set(found.predict(np.random.default_rng(0).normal(size=(50, 2)) * 100)) == {"Ball"}


def test_a_number_that_is_always_the_same_does_no_harm() -> None:
    z_what = np.array([[0.1, 7.3], [0.2, 7.3], [0.8, 7.3], [0.9, 7.3]], np.float32)
    found = fit_ridge(z_what, ["a", "a", "b", "b"], ("a", "b"))
    assert found.predict(z_what + np.array([[0, 0.01]])).tolist() == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    ("z_what", "names", "message"),
    [
        (np.zeros((0, 3)), [], r"expected one of the names a, b for each of 1 or more samples, got 0 samples"),
        (np.zeros((2, 3)), ["a"], "got 2 samples and 1 names"),
        (np.zeros((2, 3)), ["a", "c"], "among them c"),
    ],
)
def test_samples_that_do_not_fit(z_what: np.ndarray, names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_ridge(z_what, names, ("a", "b"))


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match=r"of 2 classes needs coef \(2, D\).*got \(3, 4\) and \(2,\)"):
        LinearClassifier(np.zeros((3, 4)), np.zeros(2), ("a", "b"))
    with pytest.raises(ValueError, match=r"got \(2, 4\) and \(3,\)"):
        LinearClassifier(np.zeros((2, 4)), np.zeros(3), ("a", "b"))


def test_clusters_are_the_nearest_centroids() -> None:
    z_what, _ = samples(("Player", "Enemy", "Ball"), 30)
    found = fit_clusters(z_what, 3, seed=5)
    assert found.class_names == ("object0", "object1", "object2")
    scaler = StandardScaler().fit(z_what)
    means = KMeans(3, n_init=4, random_state=5).fit(scaler.transform(z_what))
    fresh, _ = samples(("Player", "Enemy", "Ball"), 200, seed=1)
    theirs, ours = means.predict(scaler.transform(fresh)), found.class_ids(fresh)
    # The same groups under other numbers.
    assert len({(a, b) for a, b in zip(theirs.tolist(), ours.tolist(), strict=True)}) == 3


def test_clusters_are_ordered_by_how_many_they_hold() -> None:
    z_what = np.array([[0.0, 0.1]] * 2 + [[5.0, 0.0]] * 7 + [[9.0, 9.0]] * 4)
    found = fit_clusters(z_what, 3)
    assert found.predict(z_what[[0, 2, -1]]).tolist() == ["object2", "object0", "object1"]
    assert np.array_equal(fit_clusters(z_what, 3).coef, found.coef)


def test_fewer_objects_than_clusters() -> None:
    assert fit_clusters(np.array([[0.0, 1.0], [5.0, 2.0]]), 8).class_names == ("object0", "object1")
    assert fit_clusters(np.array([[1.0, 2.0]]), 8).predict(np.array([[100.0, 3.0]])).tolist() == ["object0"]
    with pytest.raises(ValueError, match="at least one object"):
        fit_clusters(np.zeros((0, 3)), 2)


@pytest.mark.parametrize("names", [("Player",), ("Ball", "Player"), ("Player", "Ball"), ("Player", "Enemy", "Ball")])
def test_joblib_there_and_back(names: tuple[str, ...], tmp_path: Path) -> None:
    z_what, labels = samples(names)
    ours = fit_ridge(z_what, labels, names)
    path = tmp_path / "z_what-classifier_16.joblib.pkl"
    export_joblib(ours, path)
    fresh, _ = samples(("Player", "Enemy", "Ball"), 100, seed=1)
    theirs = joblib.load(path)
    assert isinstance(theirs, RidgeClassifier) and theirs.classes_.tolist() == sorted(names)
    assert (theirs.predict(fresh) == ours.predict(fresh)).all()
    again = import_joblib(path)
    assert again.class_names == tuple(sorted(names))
    assert (again.predict(fresh) == ours.predict(fresh)).all()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_one_cluster_can_be_exported(tmp_path: Path) -> None:
    export_joblib(fit_clusters(np.array([[5.0, 5.0]]), 1), tmp_path / "a.pkl")
    assert joblib.load(tmp_path / "a.pkl").predict([[9.0, 9.0], [-9, 0]]).tolist() == ["object0"] * 2


def test_import_of_what_others_fitted(tmp_path: Path) -> None:
    """Numbers for classes, as the published files have; names are given by hand."""
    z_what, labels = samples(("Player", "Enemy", "Ball"))
    numbers = [("Ball", "Enemy", "Player").index(name) + 1 for name in labels]
    for model in (RidgeClassifier(), LogisticRegression()):
        joblib.dump(model.fit(z_what, numbers), tmp_path / "theirs.pkl")
        assert import_joblib(tmp_path / "theirs.pkl").class_names == ("1", "2", "3")
        named = import_joblib(tmp_path / "theirs.pkl", ("Ball", "Enemy", "Player"))
        expected = np.array(("Ball", "Enemy", "Player"))[model.predict(z_what) - 1]
        assert (named.predict(z_what) == expected).all()
    with pytest.raises(ValueError, match="of 2 classes needs"):
        import_joblib(tmp_path / "theirs.pkl", ("Ball", "Enemy"))


def test_import_of_bad_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no classifier file"):
        import_joblib(tmp_path / "none.pkl")
    joblib.dump(KMeans(2), tmp_path / "a.pkl")
    with pytest.raises(ValueError, match="holds a KMeans; expected a linear"):
        import_joblib(tmp_path / "a.pkl")
    (tmp_path / "a.pkl").write_bytes((tmp_path / "a.pkl").read_bytes()[:40])
    with pytest.raises(ValueError, match="cannot be read as a joblib file"):
        import_joblib(tmp_path / "a.pkl")
