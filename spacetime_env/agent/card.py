"""The card of an agent, ``CARD.md``, and its learning curve as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CURVE = "curve.svg"
WIDTH, HEIGHT, MARGIN = 640, 320, 48  # pixels

TEXT = """# {algo} on {env}

Plays {env} on the objects that a SPACE-Time model sees. It is shown no pixels.

**Return: {mean:.1f} ± {std:.1f}**, from {low:.0f} to {high:.0f}: mean and standard deviation of {episodes}
episodes with random starts (0 to {noops} steps of doing nothing), seeds that training never met, and the
env's own sticky actions. Actions are {drawn}.

```python
from spacetime_env.agent import evaluate, load_agent

agent, env = load_agent("{name}")  # or the path of this folder
print(evaluate(agent, env, episodes=3))
```

## How it was made

```
{command}
```

{earlier}{timesteps:,} env steps in {minutes:.0f} minutes of wall time, evaluation included, on {cores} cores
({machine}). Times it was started: {sittings}. The weights are those of the best evaluation, after
{best_timesteps:,} steps.

| hyperparameter | value |
|---|---|
{settings}

## Learning curve

![Return against env steps]({curve})

| env steps | return | std | episodes | training return | minutes |
|---|---|---|---|---|---|
{rows}

"return" is of evaluations on an env of their own, as above. "training return" is the mean of the last 100
episodes of training, where actions are drawn.

## Limits

- It knows one game, through the eyes of one model (sha256 {sha256}). When that model is trained again, so
  must the agent be.
- One seed ({seed}). Other seeds learn at other speeds.
- The evaluations that chose the weights were short. The figure above was measured afterwards, on other seeds.
"""


def card(about: Mapping[str, Any], evaluations: Sequence[Mapping[str, Any]]) -> str:
    """The text of ``CARD.md``.

    Args:
        about: the content of ``agent.yaml``.
        evaluations: those during the training, see :class:`spacetime_env.agent.progress.Progress`.
    """
    result, trained = about["evaluation"], about["trained"]
    return TEXT.format(
        **{key: value for key, value in trained.items() if key not in ("seconds", "earlier")},
        earlier=chain(trained.get("earlier", ())),
        **{key: result[key] for key in ("mean", "std", "episodes", "noops")},
        **{key: about[key] for key in ("name", "env", "seed")},
        algo=about["algo"].upper(),
        low=min(result["returns"]),
        high=max(result["returns"]),
        drawn="the most probable ones" if result["deterministic"] else "drawn from the policy",
        minutes=trained["seconds"] / 60,
        settings="\n".join(f"| {key} | `{value}` |" for key, value in about["hyperparameters"].items()),
        rows="\n".join(row(evaluation) for evaluation in evaluations),
        curve=CURVE,
        sha256=str(about["model"]["sha256"])[:12],
    )


def chain(earlier: Sequence[Mapping[str, Any]]) -> str:
    """The trainings before this one, each of which started from the weights of the one before; "" if there are none."""
    if not earlier:
        return ""
    lines = [
        "This training did not start from nothing: it started from the weights of an earlier agent, which the command",
        "expects in its place. A chain of trainings led there. From the first on:",
        "",
    ]
    for number, one in enumerate(earlier, 1):
        steps = "an unknown number of" if one["timesteps"] is None else f"{one['timesteps']:,}"
        result = "" if one["mean"] is None else f" Return {one['mean']:.1f} ± {one['std']:.1f}."
        lines.append(f"{number}. `{one['command']}`")
        lines.append(f"   Weights after {steps} env steps, on the model {str(one['model'])[:12]}.{result}")
    return "\n".join([*lines, "", "The last training:", "", ""])


def row(evaluation: Mapping[str, Any]) -> str:
    """An evaluation as a row of the table of the learning curve."""
    training = evaluation["training_mean"]
    cells = [
        f"{evaluation['timesteps']:,}",
        f"{evaluation['mean']:.1f}",
        f"{evaluation['std']:.1f}",
        f"{evaluation['episodes']}",
        "-" if training is None else f"{training:.1f}",
        f"{evaluation['seconds'] / 60:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def curve(evaluations: Sequence[Mapping[str, Any]], title: str) -> str:
    """The learning curve as SVG: mean return against env steps, in a band of one standard deviation.

    Args:
        evaluations: see :func:`card`.
        title: stands above the curve.
    """
    points = [(e["timesteps"], e["mean"], e["std"]) for e in evaluations] or [(0, 0.0, 0.0)]
    last = max(max(p[0] for p in points), 1)
    low, high = min(p[1] - p[2] for p in points), max(p[1] + p[2] for p in points)
    if high - low < 1e-6:
        room = max(1.0, abs(low) * 1e-6)  # beside a large number, 1 is nothing
        low, high = low - room, high + room

    def place(steps: float, value: float) -> tuple[float, float]:
        x = MARGIN + (WIDTH - 2 * MARGIN) * steps / last
        return x, HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (value - low) / (high - low)

    def path(corners: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*corner) for corner in corners))

    marks = []
    for part in range(5):
        value, steps = low + (high - low) * part / 4, last * part / 4
        x, y = place(steps, value)
        marks.append(f'<path d="M{MARGIN} {y:.1f}H{WIDTH - MARGIN}" stroke="#ddd"/>')
        marks.append(f'<text x="{MARGIN - 6}" y="{y:.1f}" dy="4" text-anchor="end">{value:.0f}</text>')
        label = f"{steps / 1e6:.2f}M" if last >= 1e5 else f"{steps:.0f}"
        marks.append(f'<text x="{x:.1f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{label}</text>')
    band = path([(s, m + d) for s, m, d in points] + [(s, m - d) for s, m, d in reversed(points)])
    line = path([(s, m) for s, m, _ in points])
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="{WIDTH // 2}" y="24" text-anchor="middle" font-family="sans-serif">{title}</text>',
            '<g font-family="sans-serif" font-size="12">',
            *marks,
            "</g>",
            f'<polygon points="{band}" fill="#1f77b4" opacity="0.2"/>',
            f'<polyline points="{line}" fill="none" stroke="#1f77b4" stroke-width="2"/>',
            "</svg>\n",
        ]
    )
