from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence

import numpy as np
import pytest

from spacetime_env.config import SceneConfig
from spacetime_env.frames import boxes_to_z_where
from spacetime_env.objects import tracker as module
from spacetime_env.objects.detections import Detections
from spacetime_env.objects.tracker import FEATURES, Tracker
from tests.helpers.forms import both_forms

form = both_forms(module)  # everything in both
NATIVE = (100, 200)  # H, W: x = px / 100 - 1, y = py / 50 - 1
NAMES = ("Player", "Ghost")
SIZE = 4.0


def tracker(ghosts: int = 2, keep: int = 3, max_speed: float = 20.0) -> Tracker:
    config = SceneConfig(classes=NAMES, slots={"Ghost": ghosts}, keep=keep, max_speed=max_speed)
    return Tracker(config, NATIVE)


def seen(
    player: Sequence[tuple[float, float]] = (),
    ghosts: Sequence[tuple[float, float]] = (),
    confidence: Sequence[float] | None = None,
) -> Detections:
    """Detections with their centres at these pixels; players first."""
    centres = [*player, *ghosts]
    boxes = np.array([(x - SIZE / 2, y - SIZE / 2, SIZE, SIZE) for x, y in centres], np.float32).reshape(-1, 4)
    ids = np.array([0] * len(player) + [1] * len(ghosts), np.int64)
    certain = np.array([0.95] * len(centres) if confidence is None else confidence, np.float32)
    what = np.zeros((len(centres), 0), np.float32)
    return Detections(boxes, boxes_to_z_where(boxes, NATIVE), ids, certain, what, NAMES)


def places(rows: np.ndarray) -> list[tuple[float, float, float] | None]:
    """presence and centre in pixels of each slot; None where the row is zeros."""
    out: list[tuple[float, float, float] | None] = []
    for presence, x, y, *_ in rows.tolist():
        at = (presence, round((x + 1) * 100, 3), round((y + 1) * 50, 3))
        out.append(at if np.any(rows[len(out)]) else None)
    return out


def steps(rows: np.ndarray, max_speed: float = 20.0) -> list[tuple[float, float]]:
    """dx, dy of each slot in pixels."""
    return [(round(dx * max_speed, 3), round(dy * max_speed, 3)) for dx, dy in rows[:, 5:].tolist()]


def test_features_by_hand() -> None:
    t = tracker(ghosts=1)
    first = t.update(seen(player=[(50, 25)]))
    assert first.shape == (2, 7) and first.dtype == np.float32 and len(FEATURES) == 7
    np.testing.assert_allclose(first, [[1, -0.5, -0.5, 0.02, 0.04, 0, 0], [0] * 7], atol=1e-6)
    second = t.update(seen(player=[(60, 20)]))
    np.testing.assert_allclose(second[0], [1, -0.4, -0.6, 0.02, 0.04, 0.5, -0.25], atol=1e-6)


def test_slot_names_are_grouped_in_class_order() -> None:
    assert tracker(ghosts=3).slot_names == ("Player", "Ghost0", "Ghost1", "Ghost2")
    assert tracker(ghosts=1).slot_names == ("Player", "Ghost")
    assert tracker(ghosts=0).slot_names == ("Player",)


def test_update_returns_a_new_array_each_time() -> None:
    t = tracker()
    first = t.update(seen(player=[(50, 25)]))
    before = first.copy()
    t.update(seen(player=[(60, 25)]))
    assert (first == before).all()


def test_rows_stay_in_range_at_the_border_and_at_any_speed() -> None:
    t = tracker(max_speed=20.0)
    t.update(seen(player=[(195, 95)]))
    rows = t.update(seen(player=[(210, 104)]))  # its centre is outside the frame
    assert np.abs(rows).max() <= 1 and places(rows)[0] == (1, 200, 100)
    t.reset()
    t.update(seen(player=[(78, 50)]))
    fast = t.update(seen(player=[(50, 50)]))  # 28 pixels: cut to max_speed
    assert steps(fast)[0] == (-20, 0) and np.abs(fast).max() <= 1


def test_a_lost_object_keeps_its_place_then_goes() -> None:
    t = tracker(keep=2)
    t.update(seen(player=[(50, 50)]))
    t.update(seen(player=[(55, 50)]))
    for _ in range(2):
        rows = t.update(seen())
        assert places(rows)[0] == (0, 55, 50) and steps(rows)[0] == (0, 0)
        np.testing.assert_allclose(rows[0, 3:5], [0.02, 0.04], atol=1e-6)
    assert places(t.update(seen()))[0] is None
    assert steps(t.update(seen(player=[(60, 50)])))[0] == (0, 0)  # a new one: no speed


def test_a_short_loss_is_bridged() -> None:
    t = tracker()
    for x in (50, 54, 58):
        t.update(seen(player=[(x, 50)]))
    t.update(seen())
    rows = t.update(seen(player=[(66, 50)]))
    assert places(rows)[0] == (1, 66, 50)
    assert steps(rows)[0] == (4, 0)  # 8 pixels in two steps


def test_the_reach_itself_is_out_of_reach() -> None:
    """1.5 * max_speed = 30 pixels, for a detection without doubt: what is as far is another object, at 29 it is not."""
    for far, same in ((30, False), (29, True)):
        t = tracker(keep=0)
        t.update(seen(player=[(50, 50)], confidence=[1.0]))
        rows = t.update(seen(player=[(50 + far, 50)], confidence=[1.0]))
        assert (steps(rows)[0] == (20, 0)) is same  # 29, cut to max_speed; a new object has no speed
        assert places(rows)[0] == (1, 50 + far, 50)


def test_an_object_far_away_is_a_new_one_in_a_free_slot() -> None:
    t = tracker(ghosts=2)
    t.update(seen(ghosts=[(20, 50)]))
    rows = t.update(seen(ghosts=[(120, 50)]))
    assert places(rows)[1:] == [(0, 20, 50), (1, 120, 50)]
    assert steps(rows)[1:] == [(0, 0), (0, 0)]


def test_a_single_false_detection_does_not_take_a_taken_slot() -> None:
    t = tracker()
    t.update(seen(player=[(20, 50)]))
    rows = t.update(seen(player=[(120, 50)]))  # the player is missed, and something else is taken for it
    assert places(rows)[0] == (0, 20, 50)
    rows = t.update(seen(player=[(24, 50)]))
    assert places(rows)[0] == (1, 24, 50) and steps(rows)[0] == (2, 0)


def test_an_object_that_jumped_is_believed_when_it_is_seen_again_without_a_spike() -> None:
    t = tracker()
    t.update(seen(player=[(20, 50)]))
    t.update(seen(player=[(120, 50)]))
    rows = t.update(seen(player=[(122, 50)]))
    assert places(rows)[0] == (1, 122, 50) and steps(rows)[0] == (0, 0)
    assert steps(t.update(seen(player=[(125, 50)])))[0] == (3, 0)


def test_two_false_detections_at_two_places_are_not_believed() -> None:
    t = tracker()
    t.update(seen(player=[(20, 50)]))
    t.update(seen(player=[(120, 20)]))
    assert places(t.update(seen(player=[(190, 90)])))[0] == (0, 20, 50)


def test_of_two_players_the_near_one_is_it() -> None:
    t = tracker()
    t.update(seen(player=[(50, 50)]))
    rows = t.update(seen(player=[(120, 50), (52, 50)], confidence=[0.99, 0.6]))
    assert places(rows)[0] == (1, 52, 50) and t.sources[0] == 1


def test_an_empty_slot_takes_the_most_certain() -> None:
    t = tracker()
    rows = t.update(seen(player=[(120, 50), (52, 50)], confidence=[0.6, 0.99]))
    assert places(rows)[0] == (1, 52, 50)


@pytest.mark.parametrize("jitter", [0, 1])
def test_objects_that_cross_keep_their_slots(jitter: int) -> None:
    # One goes right along y = 50, the other left along y = 53, 5 pixels a step: they pass at x = 100.
    rng = np.random.default_rng(0)
    t = tracker()
    for step in range(21):
        truth = np.array([(50 + 5 * step, 50), (150 - 5 * step, 53)])
        at = truth + rng.integers(-jitter, jitter + 1, (2, 2))
        order = rng.permutation(2)  # a detector names them in no order
        rows = t.update(seen(ghosts=[tuple(at[i]) for i in order]))
        if step == 0:
            slots = [1 + int(np.argmin(abs(rows[1:, 1] - (x / 100 - 1)))) for x, _ in at]
        assert [places(rows)[slot] for slot in slots] == [(1, *place) for place in at.tolist()], step


def test_objects_that_merge_into_one_detection_part_as_themselves() -> None:
    t = tracker()
    for x in (80, 86, 92):  # 6 pixels a step towards each other
        t.update(seen(ghosts=[(x, 50), (200 - x, 50)]))
    for shown in (2, 1):  # seen as one box in the middle: the other is behind it, then it should have come out
        rows = t.update(seen(ghosts=[(100, 50)]))
        assert rows[1:, 0].sum() == shown and sorted(t.sources[1:]) == [-1, 0]
    rows = t.update(seen(ghosts=[(110, 50), (90, 50)]))
    assert places(rows)[1:] == [(1, 110, 50), (1, 90, 50)]


def test_where_two_merge_the_row_that_was_seen_stays_seen() -> None:
    t = tracker()
    t.update(seen(ghosts=[(50, 50), (56, 50)]))
    sources, present = [], []
    for _ in range(4):
        present.append(t.update(seen(ghosts=[(53, 50)]))[1:, 0].tolist())
        sources.append(t.sources)
    assert len(set(sources)) == 1 and present == [[1, 1], [1, 1], [1, 0], [1, 0]]  # hidden for HIDDEN steps, then lost


def test_one_missed_in_a_row_of_many_does_not_shift_the_rest() -> None:
    # Invaders 12 pixels apart: the first is missed while a new one appears at the end of the row.
    t = tracker(ghosts=6)
    row = [(20.0 + 12 * i, 30.0) for i in range(6)]
    t.update(seen(ghosts=row[:5]))
    rows = t.update(seen(ghosts=row[1:6]))
    assert places(rows)[1:] == [(0, *row[0]), *((1, *at) for at in row[1:])]
    assert steps(rows)[1:] == [(0, 0)] * 6


def test_an_object_that_turns_round_is_still_itself() -> None:
    t = tracker(max_speed=20)
    for x in (50, 66, 82):
        t.update(seen(player=[(x, 50)]))
    rows = t.update(seen(player=[(66, 50)]))  # expected at 98: 32 pixels off
    assert places(rows)[0] == (1, 66, 50) and steps(rows)[0] == (-16, 0)


def test_more_objects_than_slots() -> None:
    t = tracker(ghosts=2)
    rows = t.update(seen(ghosts=[(20, 50), (80, 50), (140, 50)], confidence=[0.6, 0.9, 0.8]))
    assert places(rows)[1:] == [(1, 80, 50), (1, 140, 50)]
    rows = t.update(seen(ghosts=[(20, 50), (80, 50), (140, 50)], confidence=[0.99, 0.6, 0.6]))
    assert places(rows)[1:] == [(1, 80, 50), (1, 140, 50)]  # a surer one does not push out one that is seen


def test_new_objects_fill_the_slots_line_by_line() -> None:
    t = tracker(ghosts=4)
    grid = [(20.0, 30.0), (60.0, 31.0), (20.0, 60.0), (60.0, 61.0)]
    rows = t.update(seen(ghosts=[grid[i] for i in (3, 0, 2, 1)]))
    assert places(rows)[1:] == [(1, *at) for at in grid]


def test_a_free_slot_in_the_middle_is_used_again() -> None:
    t = tracker(ghosts=3, keep=0)
    t.update(seen(ghosts=[(20, 50), (80, 50), (140, 50)]))
    rows = t.update(seen(ghosts=[(20, 50), (140, 50)]))
    assert places(rows)[1:] == [(1, 20, 50), None, (1, 140, 50)]
    rows = t.update(seen(ghosts=[(20, 50), (140, 50), (180, 90)]))
    assert places(rows)[1:] == [(1, 20, 50), (1, 180, 90), (1, 140, 50)]


def test_sources_name_the_detection_of_each_slot() -> None:
    t = tracker(ghosts=2)
    t.update(seen(player=[(10, 10)], ghosts=[(50, 50), (90, 50)]))
    assert t.sources == (0, 1, 2)
    t.update(seen(ghosts=[(90, 50), (50, 50)]))
    assert t.sources == (-1, 1, 0)


def test_reset_forgets() -> None:
    t = tracker()
    t.update(seen(player=[(20, 50)], ghosts=[(90, 50)]))
    t.reset()
    assert t.sources == (-1, -1, -1)
    rows = t.update(seen(player=[(22, 50)]))
    assert places(rows) == [(1, 22, 50), None, None] and steps(rows)[0] == (0, 0)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_a_copy_goes_its_own_way(clone) -> None:
    t = tracker(ghosts=9)
    path = [seen(player=[(10 + 4 * i, 30)], ghosts=[(20 + 3 * i, 20), (60 - 3 * i, 70)]) for i in range(6)]
    for one in path[:3]:
        t.update(one)
    again = clone(t)
    expected = [t.update(one) for one in path[3:]]
    t.update(seen())
    for one, rows in zip(path[3:], expected, strict=True):
        np.testing.assert_array_equal(again.update(one), rows)
        assert places(rows)[0] is not None and rows[:3, 5].all()  # they were known, and move


def test_what_was_remembered_by_a_tracker_of_other_slots_is_refused_and_changes_nothing() -> None:
    t, other = tracker(ghosts=2), tracker(ghosts=5)
    t.update(seen(player=[(10, 30)]))
    other.update(seen(ghosts=[(20, 20)]))
    with pytest.raises(ValueError, match=r"expected the state of 3 slots, got 6\."):
        t.recall(other.remember())
    assert places(t.update(seen(player=[(12, 30)])))[0] is not None


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_a_copy_knows_its_objects_when_several_new_ones_come_at_once(clone) -> None:
    """That frame takes another way than the usual one; both must look at the copy's own memory."""
    t = tracker(ghosts=9)
    for i in range(3):
        t.update(seen(ghosts=[(20 + 4 * i, 20), (60 - 3 * i, 70)]))
    again = clone(t)
    crowd = [(32, 20), (51, 70), (100, 20), (120, 50), (140, 80)]
    for i in range(2):
        moved = [(x + i, y) for x, y in crowd]
        rows = t.update(seen(ghosts=moved))
        np.testing.assert_array_equal(again.update(seen(ghosts=moved)), rows)
        assert again.sources == t.sources
    assert places(rows)[1:6] == [(1, x + 1, y) for x, y in crowd] and steps(rows)[1] == (1, 0)
    rows = t.update(seen(ghosts=[(102, 20)]))  # one of the new ones alone, in the usual way
    np.testing.assert_array_equal(again.update(seen(ghosts=[(102, 20)])), rows)
    assert places(rows)[3] == (1, 102, 20) and steps(rows)[3] == (1, 0)


def test_classes_without_a_slot_are_left_out_and_names_need_not_be_in_order() -> None:
    t = tracker(ghosts=0)
    found = seen(player=[(20, 50)], ghosts=[(90, 50)])
    assert places(t.update(found)) == [(1, 20, 50)]
    turned = Detections(found.boxes, found.z_where, found.class_ids, found.confidence, found.z_what, ("X", "Player"))
    assert places(tracker(ghosts=0).update(turned)) == [(1, 90, 50)]


def test_slots_of_an_unknown_class() -> None:
    with pytest.raises(ValueError, match=r"'Gost' that is not in classes\. Did you mean 'Ghost'\?"):
        Tracker(SceneConfig(classes=NAMES, slots={"Gost": 2}), NATIVE)
    with pytest.raises(ValueError, match=r"Classes: Player, Ghost\."):
        Tracker(SceneConfig(classes=NAMES, slots={"Zzz": 2}), NATIVE)
    long, longer = "x" * 100_000, "x" * 99_999
    for classes, slot in (((long, "Ball"), "Ghost"), (("Ball",), long), ((long,), longer)):
        with pytest.raises(ValueError, match=r"that is not in classes\.") as caught:
            Tracker(SceneConfig(classes=classes, slots={slot: 2}), NATIVE)
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize("config", [SceneConfig(), SceneConfig(classes=NAMES, slots={"Player": 0, "Ghost": 0})])
def test_no_slot_at_all(config: SceneConfig) -> None:
    with pytest.raises(ValueError, match="a class with a slot"):
        Tracker(config, NATIVE)


def test_a_detector_with_misses_jitter_and_false_finds() -> None:
    """The noise of a learned detector: 5 % missed, 1 pixel off, 1 % of the steps with a false find."""
    rng = np.random.default_rng(3)
    t = tracker(ghosts=3, keep=4, max_speed=24)
    spikes = shown = present = slot_changes = 0
    slot_of: dict[int, int] = {}
    total = 400
    for step in range(total):
        # Three ghosts on circles that cross; 3 pixels a step.
        truth = [
            (100 + 40 * np.cos(step * 0.075 + phase) + 20 * k, 50 + 40 * np.sin(step * 0.075 + phase))
            for k, phase in enumerate((0.0, 2.0, 4.0))
        ]
        ids = [i for i in range(3) if rng.random() > 0.05]
        at = [tuple(np.array(truth[i]) + rng.integers(-1, 2, 2)) for i in ids]
        certain = [0.9] * len(ids)
        if rng.random() < 0.01:
            ids, at, certain = [*ids, -1], [*at, (rng.uniform(0, 200), rng.uniform(0, 100))], [*certain, 0.6]
        rows = t.update(seen(ghosts=at, confidence=certain))
        for slot, source in enumerate(t.sources):
            if source < 0:
                continue
            who = ids[source]
            shown += who < 0
            present += who >= 0
            spikes += bool(np.abs(rows[slot, 5:] * 24).max() > 8)  # 3 of movement, 2 of jitter, and room
            if who >= 0:
                slot_changes += slot_of.get(who, slot) != slot
                slot_of[who] = slot
    assert slot_changes == 0 and spikes == 0 and shown == 0
    assert present > 0.93 * 3 * total
