"""Identities over time: true objects linked from frame to frame, and how often the tracker confuses them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from spacetime_env.config import SceneConfig
from spacetime_env.evaluation.boxes import Truth, iou
from spacetime_env.objects.detections import Detections
from spacetime_env.objects.slots import REACH, TURN
from spacetime_env.objects.tracker import Tracker


def link(truth: Sequence[Truth], reach: float, keep: int = 4) -> list[list[int]]:
    """Give true objects identities through consecutive frames. Ground truth from RAM has boxes and names only.

    In each frame the objects of a class are assigned to those of the frames before, so that the sum of the distances
    from where their motion takes them is least; one that has turned round counts as nearer. True boxes do not jitter,
    so errors happen only where objects of one class cross.

    Args:
        truth: of consecutive frames.
        reach: how far an object can move in a step, in pixels; one further away is another object.
        keep: an object that is not drawn for so many steps or fewer is the same when it comes back (sprites flicker).

    Returns:
        For each frame, the identity of each object: 0, 1, 2, ...
    """
    result, unused = [], 0
    last: dict[int, tuple[str, np.ndarray, int, np.ndarray]] = {}  # identity -> name, centre, last frame, speed
    for frame, one in enumerate(truth):
        last = {number: seen for number, seen in last.items() if frame - seen[2] <= keep + 1}
        centers = one.boxes[:, :2] + one.boxes[:, 2:] / 2
        numbers = [-1] * len(one.names)
        for name in sorted(set(one.names)):
            here = [i for i, each in enumerate(one.names) if each == name]
            known = [number for number, seen in last.items() if seen[0] == name]
            if known:
                before = np.array([last[number][1] for number in known])
                steps = np.array([frame - last[number][2] for number in known])
                ahead = before + np.array([last[number][3] for number in known]) * steps[:, None]
                stayed, moved = (np.linalg.norm(centers[here][:, None] - at, axis=2) for at in (before, ahead))
                distance = (moved + TURN * np.minimum(stayed - moved, 0)) / (reach * steps)
                # All distances out of reach cost the same, so such an object does not change the other assignments.
                for i, j in zip(*linear_sum_assignment(np.minimum(distance, 1.0)), strict=True):
                    if distance[i, j] < 1.0:
                        numbers[here[i]] = known[j]
        for i, name in enumerate(one.names):
            speed = np.zeros(2)
            if numbers[i] < 0:
                numbers[i], unused = unused, unused + 1
            else:
                speed = (centers[i] - last[numbers[i]][1]) / (frame - last[numbers[i]][2])
            last[numbers[i]] = (name, centers[i], frame, speed)
        result.append(numbers)
    return result


def identity_switches(
    detections: Sequence[Detections],
    truth: Sequence[Truth],
    runs: Sequence[range],
    scene: SceneConfig,
    native: tuple[int, int],
) -> dict[str, int]:
    """How often a true object is in another slot of the tracker than when it was last in one.

    This is ``num_switches`` of motmetrics, after Bernardin and Stiefelhagen 2008,
    https://doi.org/10.1155/2008/246309. An object is in a slot if their boxes have an IoU of at least 0.5. The
    distances of motmetrics 1.4 do not work with numpy 2, so its accumulator gets our own.

    Args:
        detections, truth: of each frame.
        runs: ranges of consecutive frames; the tracker starts anew in each.
        scene: classes, slots, keep and max_speed of the tracker.
        native: H, W of the frames in pixels.

    Returns:
        Class name -> number of switches of its objects, for every class in ``truth``.

    Raises:
        ImportError: motmetrics is not installed.
        ValueError: the scene has no slots.
    """
    from motmetrics import MOTAccumulator

    tracker, events = Tracker(scene, native), MOTAccumulator(auto_id=True)
    name_of: dict[int, str] = {}
    for number, run in enumerate(runs):
        tracker.reset()
        first, slots = len(name_of), np.arange(len(tracker.slot_names)) + number * len(tracker.slot_names)
        linked = link([truth[f] for f in run], REACH * scene.max_speed, scene.keep)
        for f, numbers in zip(run, linked, strict=True):
            tracker.update(detections[f])
            sources = np.array(tracker.sources)
            boxes = detections[f].boxes[sources[sources >= 0]]
            objects = [first + each for each in numbers]
            name_of |= dict(zip(objects, truth[f].names, strict=True))
            overlap = iou(truth[f].boxes, boxes).astype(np.float64)
            events.update(objects, slots[sources >= 0], np.where(overlap >= 0.5, 1 - overlap, np.nan))
    switches = dict.fromkeys(sorted(set(name_of.values())), 0)
    happened = events.mot_events
    for number in happened.OId[happened.Type == "SWITCH"]:
        switches[name_of[int(number)]] += 1
    return switches
