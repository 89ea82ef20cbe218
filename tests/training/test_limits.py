"""The limits that a model's card names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from spacetime_env.config import load_config
from spacetime_env.evaluation.boxes import DetectionScores
from spacetime_env.training.limits import Limits, joint_limit_lines, limit_lines

ROOT = Path(__file__).parents[2]


def test_limits_say_what_is_not_seen() -> None:
    scene = load_config(ROOT / "configs" / "carnival.yaml").scene
    recalls = {"PlayerMissile": 0.0, "Owl": 0.5, "FlyingDuck": 0.25, "Player": 1.0, "Rabbit": 1.0, "Duck": 1.0}
    scores = DetectionScores(8, 9, *[0.0] * 11, recalls, 1.0, {"PlayerMissile": 545, "FlyingDuck": 4})
    lines = limit_lines(Limits(scene, 2, scores))
    assert lines[0].startswith("- It sees one frame at a time, pooled with the emulator's frame before it.")
    assert lines[1] == f"- Nothing is reported in {list(scene.ignore)} (x, y, w, h)."
    missed = "PlayerMissile (0.000 of 545 objects), FlyingDuck (0.250 of 4 objects)"
    assert lines[2] == f"- Classes with a recall under 0.5 on all test frames, at an IoU of 0.5: {missed}."
    assert lines[3] == "- On no test frame there was: ExtraBullets." and len(lines) == 4
    assert "is not known" in limit_lines(Limits(scene, 1, None))[2]
    clusters = limit_lines(Limits(replace(scene, classes=("object0", "object1"), slots={}), 1, scores))
    assert clusters[3] == "- Its classes are clusters, made without labels: no name is that of a true class."
    joint = joint_limit_lines({"Carnival": Limits(scene, 2, scores)})
    assert joint[1:3] == [
        "- Frames are pooled with the emulator's frame before them in Carnival.",
        f"- Carnival: classes with a recall under 0.5 on all test frames, at an IoU of 0.5: {missed}.",
    ]
