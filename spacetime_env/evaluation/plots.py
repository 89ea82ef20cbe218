"""Scatter plots of z_what in two dimensions, by PCA and by t-SNE, coloured by the true class."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spacetime_env.evaluation.latents import Samples, draw_samples, mean_and_std
from spacetime_env.files import write_atomically

PER_CLASS = 250  # at most so many objects of a class in a plot: more cover each other, and t-SNE takes long
LEAST = 5  # objects that a plot needs
INSTALL = "Plots are missing: install matplotlib with pip install 'spacetime-env[eval]'."


def pca(z_what: np.ndarray) -> np.ndarray:
    """Principal component analysis (Pearson 1901): (n, D) -> (n, 2), the two directions of most variance."""
    from sklearn.decomposition import PCA

    return PCA(2, svd_solver="full").fit_transform(z_what)


def tsne(z_what: np.ndarray, seed: int = 0) -> np.ndarray:
    """t-SNE (van der Maaten and Hinton 2008): (n, D) -> (n, 2), so that neighbours stay neighbours."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(z_what) - 1) / 3)
    return TSNE(2, init="pca", perplexity=perplexity, random_state=seed).fit_transform(z_what)


def scatter(points: np.ndarray, names: Sequence[str], title: str) -> bytes:
    """A PNG of points (n, 2), each in the colour of its class (n names), with a legend.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")  # not pyplot, which keeps state and chooses a backend
    axes = figure.subplots()
    for i, name in enumerate(sorted(set(names))):
        x, y = points[np.array(names, object) == name].T
        axes.scatter(x, y, s=9, alpha=0.7, color=colormaps["tab10"](i % 10), label=f"{name} ({len(x)})")
    axes.set_title(title)
    axes.legend()
    data = io.BytesIO()
    # Without matplotlib's version in the file, the same points give the same bytes.
    FigureCanvasAgg(figure).print_png(data, metadata={"Software": None})
    return data.getvalue()


def write(samples: Samples, out: Path, name: str, seed: int = 0) -> tuple[list[Path], list[str]]:
    """Write ``pca.png`` and ``tsne.png``.

    Args:
        samples: z_what (n, D) and n true names; at most 250 of each class are plotted.
        out: the folder.
        name: of the model, for the titles.
        seed: of the draw and of t-SNE.

    Returns:
        The files that were written, and sentences for the user.

    Raises:
        OSError: a file cannot be written.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return [], [INSTALL]
    z_what, names = samples
    picks = draw_samples(names, PER_CLASS, np.random.default_rng(seed))
    if len(picks) < LEAST or z_what.shape[1] < 2:
        return [], [f"Plots are missing: only {len(picks)} objects were found, {LEAST} or more are needed."]
    mean, std = mean_and_std(z_what[picks])
    scaled, chosen = (z_what[picks] - mean) / std, [names[i] for i in picks]
    written = []
    for kind, points in (("PCA", pca(scaled)), ("t-SNE", tsne(scaled, seed))):
        written.append(out / f"{kind.lower().replace('-', '')}.png")
        write_atomically(written[-1], scatter(points, chosen, f"{name}: {kind} of z_what"))
    return written, []
