"""z_what in two dimensions."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from spacetime_env.evaluation import plots
from spacetime_env.evaluation.latents import Samples


def clouds(count: int) -> Samples:
    """Two classes far apart in five dimensions."""
    z_what = np.random.default_rng(0).normal(size=(2 * count, 5)).astype(np.float32)
    z_what[::2] += 9
    return Samples(z_what, ["a", "b"] * count)


def picture(data: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))[..., ::-1]


def test_pca_by_hand() -> None:
    """Along (3, 4, 0) in steps of 10, and 1 up or down across it."""
    along, across = np.array([0.6, 0.8, 0.0]), np.array([0.0, 0.0, 1.0])
    z_what = np.array([10 * k * along + s * across for k, s in ((-1, 1), (0, -2), (1, 1))])
    points = plots.pca(z_what)
    assert np.allclose(np.abs(points), [[10, 1], [0, 2], [10, 1]])
    assert points[0, 0] == pytest.approx(-points[2, 0])


def test_tsne_keeps_classes_apart_and_follows_its_seed() -> None:
    z_what, names = clouds(9)
    points = plots.tsne(z_what, 3)
    assert points.shape == (18, 2) and np.array_equal(points, plots.tsne(z_what, 3))
    first = np.array(names) == "a"
    apart = np.linalg.norm(points[first].mean(axis=0) - points[~first].mean(axis=0))
    assert apart > points[first].std() and apart > points[~first].std()
    assert plots.tsne(z_what[:5]).shape == (5, 2)  # fewer than a perplexity of 30 asks for


def test_scatter_colours_by_class() -> None:
    pytest.importorskip("matplotlib")
    points = np.array([[0, 0], [1, 1], [2, 0]], float)
    both, one = (plots.scatter(points, names, "title") for names in (["a", "b", "a"], ["a", "a", "a"]))
    blue, orange = (lambda p: p[..., 2] > p[..., 0] + 60.0), (lambda p: p[..., 0] > p[..., 2] + 60.0)
    assert picture(both).shape == (600, 700, 3)
    assert orange(picture(both).astype(float)).sum() > 20 and blue(picture(both).astype(float)).sum() > 20
    assert orange(picture(one).astype(float)).sum() == 0
    assert both == plots.scatter(points, ["a", "b", "a"], "title")


def test_write(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    written, said = plots.write(clouds(10), tmp_path, "tiny")
    assert written == [tmp_path / "pca.png", tmp_path / "tsne.png"] and said == []
    first = [path.read_bytes() for path in written]
    assert picture(first[0]).shape == picture(first[1]).shape == (600, 700, 3) and first[0] != first[1]
    plots.write(clouds(10), tmp_path, "tiny")
    assert [path.read_bytes() for path in written] == first


def test_too_few_to_draw(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for few in (clouds(2), clouds(0)):
        written, said = plots.write(few, tmp_path, "tiny")
        assert written == [] and f"only {len(few.names)} objects were found, 5 or more are needed" in said[0]
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert plots.write(clouds(10), tmp_path, "tiny") == ([], [plots.INSTALL])
    assert "pip install 'spacetime-env[eval]'" in plots.INSTALL
