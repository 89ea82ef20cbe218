"""The section "Limits" of a model's card: what the model misses, and where it reports nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spacetime_env.config import SceneConfig
from spacetime_env.evaluation.boxes import DetectionScores

MISSED = 0.5  # a class with a lower recall is named


@dataclass(frozen=True)
class Limits:
    """What the sentences on a model's limits in one game are made from."""

    scene: SceneConfig
    subframes: int  # ``model.subframes``, 1 or 2
    scores: DetectionScores | None  # of what moves, on all test splits together; None: no split has ground truth
    pictures: str = ""  # the variant of the network, where it was trained on pictures that are no game


def class_sentences(limits: Limits) -> list[str]:
    """Sentences on the classes with a low recall, and on the classes that no test frame has."""
    scene, scores = limits.scene, limits.scores
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


def input_sentence(subframes: int) -> str:
    """The sentence on the frames that a model reads."""
    pooled = ", pooled with the emulator's frame before it" if subframes > 1 else ""
    return f"It sees one frame at a time{pooled}. It finds only what moved in its training data and is drawn."


def picture_sentence(variant: str) -> str:
    """The sentence on the pictures that a model of pictures reads."""
    moved = "what moved in its training pictures" if variant != "space" else "what its background cannot draw"
    return f"It sees one picture at a time, of the size that it was trained on. It finds {moved}; no label taught it."


def ignore_sentence(scene: SceneConfig) -> str:
    """The sentence on ignored regions; "" if there are none."""
    return f"Nothing is reported in {list(scene.ignore)} (x, y, w, h)." if scene.ignore else ""


def limit_lines(limits: Limits) -> list[str]:
    """The lines of the section for a model of one game, without its title."""
    seen = picture_sentence(limits.pictures) if limits.pictures else input_sentence(limits.subframes)
    sentences = [seen, ignore_sentence(limits.scene), *class_sentences(limits)]
    return [f"- {sentence}" for sentence in sentences if sentence]


def joint_limit_lines(games: Mapping[str, Limits]) -> list[str]:
    """The lines of the section for a model of several games, without its title."""
    lines = [f"- {input_sentence(1)}"]
    pooled = [game for game, limits in games.items() if limits.subframes > 1]
    if pooled:
        lines.append(f"- Frames are pooled with the emulator's frame before them in {', '.join(pooled)}.")
    for game, limits in games.items():
        sentences = filter(None, [*class_sentences(limits), ignore_sentence(limits.scene)])
        lines += [f"- {game}: {sentence[0].lower()}{sentence[1:]}" for sentence in sentences]
    return lines
