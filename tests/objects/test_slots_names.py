"""Objects that are called otherwise, and objects behind others: through the tracker, in both forms."""

from __future__ import annotations

import numpy as np

from spacetime_env.config import SceneConfig
from spacetime_env.frames import boxes_to_z_where
from spacetime_env.objects import slots
from spacetime_env.objects import tracker as module
from spacetime_env.objects.detections import Detections
from spacetime_env.objects.tracker import Tracker
from tests.helpers.forms import both_forms

form = both_forms(module)  # everything in both
NATIVE = (100, 200)
NAMES = ("Player", "Ghost", "Shot")
Box = tuple[float, float, float, float, str]  # x, y of the centre, w, h, name


def tracker(**counts: int) -> Tracker:
    return Tracker(SceneConfig(classes=NAMES, slots=counts or {"Ghost": 2}, keep=4, max_speed=20.0), NATIVE)


def seen(*objects: Box) -> Detections:
    boxes = np.array([(x - w / 2, y - h / 2, w, h) for x, y, w, h, _ in objects], np.float32).reshape(-1, 4)
    ids = np.array([NAMES.index(name) for *_, name in objects], np.int64)
    what = np.zeros((len(objects), 0), np.float32)
    return Detections(boxes, boxes_to_z_where(boxes, NATIVE), ids, np.ones(len(objects), np.float32), what, NAMES)


def shown(t: Tracker, rows: np.ndarray) -> dict[str, tuple[float, float]]:
    """The centre in pixels of each row with presence 1."""
    there = zip(t.slot_names, rows.tolist(), strict=True)
    return {name: (round((x + 1) * 100, 3), round((y + 1) * 50, 3)) for name, (p, x, y, *_) in there if p}


def test_a_name_of_one_step_moves_no_object() -> None:
    t = tracker()
    for x in (20, 24, 28):
        t.update(seen((x, 50, 8, 8, "Player")))
    rows = t.update(seen((32, 50, 8, 8, "Ghost")))
    assert shown(t, rows) == {"Player": (32, 50)} and t.sources[0] == 0
    assert (rows[0, 5:] * 20).tolist() == [4, 0]  # it goes on
    assert shown(t, t.update(seen((36, 50, 8, 8, "Player")))) == {"Player": (36, 50)}


def test_a_name_that_stays_is_believed_when_the_trust_is_gone() -> None:
    t = tracker()
    for _ in range(3):  # trust: 0, 1, 2
        t.update(seen((20, 50, 8, 8, "Player")))
    names = [list(shown(t, t.update(seen((20, 50, 8, 8, "Ghost"))))) for _ in range(4)]
    assert names == [["Player"], ["Player"], ["Ghost0"], ["Ghost0"]]
    for _ in range(20):
        t.update(seen((20, 50, 8, 8, "Ghost")))
    wrong = [list(shown(t, t.update(seen((20, 50, 8, 8, "Player"))))) for _ in range(slots.TRUST + 1)]
    assert wrong == [["Ghost0"]] * slots.TRUST + [["Player"]]


def test_it_takes_its_speed_along() -> None:
    t = tracker()
    t.update(seen((20, 50, 8, 8, "Player")))
    rows = t.update(seen((25, 50, 8, 8, "Ghost")))
    assert shown(t, rows) == {"Ghost0": (25, 50)} and (rows[1, 5:] * 20).tolist() == [5, 0] and not rows[0].any()


def test_where_the_other_class_is_full_it_stays() -> None:
    t = tracker(Ghost=1)
    for _ in range(12):
        rows = t.update(seen((20, 50, 8, 8, "Ghost"), (100, 50, 8, 8, "Ghost")))
    t = tracker(Ghost=1)
    t.update(seen((100, 50, 8, 8, "Ghost"), (20, 50, 8, 8, "Player")))
    for _ in range(4):
        rows = t.update(seen((100, 50, 8, 8, "Ghost"), (20, 50, 8, 8, "Ghost")))
        assert shown(t, rows) == {"Player": (20, 50), "Ghost": (100, 50)}


def test_what_changes_its_size_does_not_vote() -> None:
    """It comes in at the edge of the screen: 2, 4, 6, 8 pixels of it, and looks like a shot at first."""
    t = tracker()
    names = [
        list(shown(t, t.update(seen((w / 2, 50, w, 8, name)))))
        for w, name in ((2, "Shot"), (4, "Shot"), (6, "Ghost"), (8, "Ghost"))
    ]
    assert names == [["Shot"], ["Shot"], ["Ghost0"], ["Ghost0"]]  # not two steps later


def test_of_its_size_it_is_known_without_an_overlap() -> None:
    t = tracker()
    t.update(seen((20, 50, 8, 8, "Player")))
    t.update(seen((20, 50, 8, 8, "Player")))
    assert shown(t, t.update(seen((30, 58, 8, 8, "Ghost")))) == {"Player": (30, 58)}  # 12.8 pixels, half the reach: 15
    other = tracker()
    other.update(seen((20, 50, 8, 8, "Player")))
    other.update(seen((20, 50, 8, 8, "Player")))
    assert list(shown(other, other.update(seen((30, 58, 4, 8, "Ghost"))))) == ["Ghost0"]  # another thing
    far = tracker()
    far.update(seen((20, 50, 8, 8, "Player")))
    far.update(seen((20, 50, 8, 8, "Player")))
    assert list(shown(far, far.update(seen((35, 50, 8, 8, "Ghost"))))) == ["Ghost0"]


def test_an_object_behind_another_is_shown_where_it_should_be() -> None:
    t = tracker()
    for x in (20, 24, 28):
        t.update(seen((x, 50, 8, 8, "Ghost"), (40, 50, 8, 8, "Player")))
    rows = t.update(seen((40, 50, 8, 8, "Player")))
    assert shown(t, rows) == {"Player": (40, 50)}  # expected at 32: it touches nothing
    t = tracker()
    for x in (24, 28, 32):
        t.update(seen((x, 50, 8, 8, "Ghost"), (40, 50, 8, 8, "Player")))
    rows = t.update(seen((40, 50, 8, 8, "Player")))
    assert shown(t, rows) == {"Player": (40, 50), "Ghost0": (36, 50)} and t.sources[:2] == (0, -1)
    assert (rows[1, 5:] * 20).tolist() == [4, 0]
    assert shown(t, t.update(seen((40, 50, 8, 8, "Player"))))["Ghost0"] == (40, 50)
    assert list(shown(t, t.update(seen((40, 50, 8, 8, "Player"))))) == ["Player"]  # longer than HIDDEN
    assert shown(t, t.update(seen((48, 50, 8, 8, "Ghost"), (40, 50, 8, 8, "Player"))))["Ghost0"] == (48, 50)


def test_a_shot_on_a_large_thing_has_hit_it() -> None:
    t = tracker()
    for y in (80, 76):
        t.update(seen((50, y, 2, 4, "Shot"), (50, 68, 16, 16, "Player")))
    assert list(shown(t, t.update(seen((50, 68, 16, 16, "Player"))))) == ["Player"]
