"""What a model's card says of its limits: what it does not see, and where nothing is reported."""

from __future__ import annotations

from spacetime_env.config import SceneConfig
from spacetime_env.evaluation.boxes import DetectionScores

MISSED = 0.5  # a class with less recall is named


def unseen(scene: SceneConfig, scores: DetectionScores | None) -> list[str]:
    """Sentences on the classes that a model misses, and on those that no test frame shows.

    Args:
        scene: of the model.
        scores: on all of its test splits, of what moves; ``None`` where there is no split with ground truth.
    """
    if scores is None:
        return ["What it does not see is not known, since no test split has ground truth."]
    missed = [
        f"{name} ({recall:.3f}{f' of {scores.class_objects[name]} objects' if name in scores.class_objects else ''})"
        for name, recall in sorted(scores.class_recall.items(), key=lambda pair: pair[1])
        if recall < MISSED
    ]
    said = f"Classes with a recall under {MISSED} on all test frames, at an IoU of 0.5: {', '.join(missed) or 'none'}."
    if scene.classes and not set(scene.classes) & set(scores.class_recall):
        return [said, "Its classes are clusters, made without labels: no name is that of a true class."]
    absent = [name for name in scene.classes if name not in scene.still and name not in scores.class_recall]
    return [said, *([f"On no test frame there was: {', '.join(absent)}."] if absent else [])]


def looks(subframes: int) -> str:
    """The sentence on what a model looks at."""
    pooled = ", pooled with the emulator's frame before it" if subframes > 1 else ""
    return f"It sees one frame at a time{pooled}. It finds only what moved in its training data and is drawn."


def silent(scene: SceneConfig) -> str:
    """The sentence on the regions where nothing is reported; "" where there are none."""
    return f"Nothing is reported in {list(scene.ignore)} (x, y, w, h)." if scene.ignore else ""


def limit_lines(scene: SceneConfig, subframes: int, scores: DetectionScores | None) -> list[str]:
    """The section of the card of one game, without its title."""
    sentences = [looks(subframes), silent(scene), *unseen(scene, scores)]
    return [f"- {sentence}" for sentence in sentences if sentence]


def joint_limit_lines(games: dict[str, tuple[SceneConfig, int, DetectionScores | None]]) -> list[str]:
    """The section of the card of several games, without its title.

    Args:
        games: of each, its scene, its ``model.subframes`` as settled, and its scores.
    """
    lines = [f"- {looks(1)}"]
    pooled = [game for game, (_, subframes, _) in games.items() if subframes > 1]
    if pooled:
        lines.append(f"- Frames are pooled with the emulator's frame before them in {', '.join(pooled)}.")
    for game, (scene, _, scores) in games.items():
        sentences = filter(None, [*unseen(scene, scores), silent(scene)])
        lines += [f"- {game}: {sentence[0].lower()}{sentence[1:]}" for sentence in sentences]
    return lines
