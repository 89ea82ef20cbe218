"""Cells in which an object can have its centre: the same numbers as the whole encoder's, and nothing elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from spacetime_env.config import BackgroundConfig, EncoderConfig
from spacetime_env.space import Space, SparseEncoder
from spacetime_env.space import sparse as module
from spacetime_env.space.foreground import raw_presence
from spacetime_env.space.latents import HEAD, PRES_SCALE
from spacetime_env.space.sparse import FRAMES_AT_ONCE, HOME, MAX_CHANGED, MAX_LEFT
from tests.helpers.forms import both_forms
from tests.space.test_losses import TINY

SIDE, GRID = 24, 6
AROUND = ((7, 3, 1, 1, 0), (9, 3, 1, 1, 0), (8, 3, 1, 1, 0))
LAYERS = {
    "one patch layer, two around": ((5, 4, 4, 0, 0), *AROUND[:2]),
    "two patch layers, one around": ((5, 2, 2, 0, 0), (6, 2, 2, 0, 0), AROUND[0]),
    "three around": ((5, 4, 4, 0, 0), *AROUND),
    "none around": ((5, 4, 4, 0, 0), (6, 1, 1, 0, 0)),
}


form = both_forms(module)  # everything in both


def make(
    layers=LAYERS["one patch layer, two around"], seen: str = "frame", image: np.ndarray | None = None, **changes
) -> Space:
    """A trained-looking network before a background with a pattern, fused."""
    encoder = EncoderConfig(layers=layers, lateral=False, norm="batch", input=seen)
    config = replace(TINY, frame_size=(SIDE, SIDE), grid=GRID, z_what_from="map", encoder=encoder)
    torch.manual_seed(0)
    space = Space(replace(config, **changes))
    if space.image is not None:
        image = background() if image is None else image
        space.image.copy_(torch.from_numpy(image).permute(2, 0, 1) / 255)
    space.train()
    for seed in range(3):
        noise = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
        space(noise, sample=True)  # running statistics that are not 0 and 1
    fused = space.eval().fused()
    if fused.image is not None and SparseEncoder.fits(fused):  # two cells of the background show an object
        shown = fused.foreground.encoder.head
        with torch.no_grad():
            logits = fused.encode(fused.image[None], 0.0).z_pres.logit() / PRES_SCALE
            third = logits.atanh().sort(descending=True).values[2]
            shown.bias[HEAD.pres.start] += raw_presence(HOME) - third - 1e-3
    return fused


def opened(differ: np.ndarray, space: Space) -> np.ndarray:
    """Of cells that differ, (B, G, G), those and their neighbours, and those where the background shows an object."""
    wide = np.pad(differ, ((0, 0), (1, 1), (1, 1)))
    near = np.logical_or.reduce([wide[:, y : y + GRID, x : x + GRID] for y in range(3) for x in range(3)])
    assert space.image is not None
    home = np.zeros(GRID * GRID, bool)
    home[space.encode(space.image[None], HOME).cell.numpy()] = True
    return (near.reshape(len(differ), -1) | home).reshape(differ.shape)


def background() -> np.ndarray:
    return np.random.default_rng(9).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


def some_frames(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Frames that differ from the background in a pixel of a few cells, corners among them, and those cells."""
    rng = np.random.default_rng(seed)
    frames = np.repeat(background()[None], count, axis=0)
    differ = np.zeros((count, GRID, GRID), bool)
    patch = SIDE // GRID
    for i in range(1, count):  # the first is the background itself
        for row, column in [(0, 0), (GRID - 1, GRID - 1), *rng.integers(0, GRID, (3, 2)).tolist()]:
            y, x = rng.integers(0, patch, 2)
            frames[i, row * patch + y, column * patch + x, rng.integers(3)] ^= rng.integers(1, 256)
            differ[i, row, column] = True
    return frames, differ


def tensor(frames: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255


def middle(space: Space, frames: torch.Tensor) -> float:
    """A threshold that half of the cells are under, and none is at."""
    values = np.sort(space.encode(frames, 0.0).z_pres.numpy().astype(np.float64))
    half = len(values) // 2
    at = half + int(np.argmax(np.diff(values[half : half + 20])))
    return float(values[at : at + 2].mean())


@pytest.mark.parametrize("seen", ["frame", "both"])
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS.keys())
def test_it_is_the_whole_encoder_where_something_differs(layers, seen) -> None:
    space = make(layers, seen)
    assert SparseEncoder.fits(space)
    frames, differ = some_frames(FRAMES_AT_ONCE * 4 + 3)
    threshold = middle(space, tensor(frames))
    everywhere = space.encode(tensor(frames), threshold)
    open_cells = opened(differ, space)
    wanted = open_cells.reshape(len(frames), -1)[everywhere.frame.numpy(), everywhere.cell.numpy()]
    assert 10 < wanted.sum() < open_cells.sum()  # present in some, not in all
    assert not wanted.all()  # and in cells that look as ever, where no object has its centre
    found, left = SparseEncoder(space).encode(frames, threshold)
    assert not len(left)
    for name in ("frame", "z_pres", "z_where", "z_what"):
        ours, theirs = getattr(found, name), getattr(everywhere, name).numpy()[wanted]
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype, name
        np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg=name)


def test_the_background_holds_what_was_parked_there() -> None:
    """A second chicken that never moves is in the background, and an object all the same."""
    space = make()
    assert space.image is not None
    found, left = SparseEncoder(space).encode(np.repeat(background()[None], 2, axis=0), HOME)
    wanted = space.encode(space.image[None].repeat(2, 1, 1, 1), HOME)
    assert not len(left) and found.frame.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(found.z_where, wanted.z_where.numpy(), atol=1e-5)
    np.testing.assert_allclose(found.z_what, wanted.z_what.numpy(), atol=1e-5)


def test_an_object_has_its_centre_beside_a_cell_that_differs() -> None:
    """A pixel of cell (2, 2) differs; its neighbours are looked at, and no other but the two of the background."""
    space, frame = make(), background()
    frame[2 * SIDE // GRID + 1, 2 * SIDE // GRID + 1] ^= 255
    found, _ = SparseEncoder(space).encode(frame[None], 0.0)
    differ = np.zeros((1, GRID, GRID), bool)
    differ[0, 2, 2] = True
    assert 9 <= len(found.frame) == opened(differ, space).sum() <= 11


def test_centres_in_cells_that_differ_alone() -> None:
    space, frame = make(), background()
    frame[2 * SIDE // GRID + 1, 2 * SIDE // GRID + 1] ^= 255
    some, _ = SparseEncoder(space, beside=False).encode(frame[None], 0.0)
    every, _ = SparseEncoder(space).encode(frame[None], 0.0)
    assert 1 <= len(some.frame) <= 3 and {tuple(one) for one in some.z_where.tolist()} < {
        tuple(one) for one in every.z_where.tolist()
    }
    # A cell that looks like the background again is closed again.
    sparse, state = SparseEncoder(space, beside=False), SparseEncoder(space, beside=False).begin(1)
    assert len(sparse.follow(frame[None], [0], state, 0.0).objects.frame) == len(some.frame)
    assert len(sparse.follow(background()[None], [0], state, 0.0).objects.frame) == 2


def test_the_background_costs_nothing() -> None:
    found, left = SparseEncoder(make()).encode(background()[None], 0.5)
    assert not len(left)
    assert [len(part) for part in found] == [0, 0, 0, 0]
    assert found.z_where.shape == (0, 4) and found.z_what.shape == (0, TINY.z_what_dim)
    none, left = SparseEncoder(make()).encode(np.zeros((0, SIDE, SIDE, 3), np.uint8))
    assert len(none.frame) == len(left) == 0


def test_where_much_differs_it_leaves_it_to_the_whole_encoder() -> None:
    """Frame by frame: neither does a full one take others along, nor do empty ones make up for it."""
    space, patch = make(), SIDE // GRID
    sparse, frames = SparseEncoder(space), np.repeat(background()[None], 7, axis=0)
    rows = int(MAX_CHANGED * GRID)  # of all rows of cells in a frame, so many may differ
    for i, changed in enumerate([0, rows, rows + 1, 1, GRID, rows, GRID]):
        frames[i, : changed * patch] ^= 255
    found, left = sparse.encode(frames, 0.0)
    assert left.tolist() == [2, 4, 6]
    differ = np.zeros((3, GRID, GRID), bool)
    differ[1, :rows] = differ[2, :1] = True
    none, most, one = opened(differ, space).sum(axis=(1, 2)).tolist()
    assert np.bincount(found.frame, minlength=7).tolist() == [none, most, 0, one, 0, most, 0]
    for i in (1, 3, 5):
        alone, _ = sparse.encode(frames[[i]], 0.0)
        for name in ("z_pres", "z_where", "z_what"):
            ours = getattr(found, name)[found.frame == i]
            np.testing.assert_allclose(ours, getattr(alone, name), atol=1e-5, err_msg=name)


def at(frames: np.ndarray, space: Space, threshold: float, differ: np.ndarray) -> list[np.ndarray]:
    """What the whole encoder finds in the cells that are open, (frame, z_pres, z_where, z_what)."""
    found = space.encode(tensor(frames), threshold)
    wanted = opened(differ, space).reshape(len(frames), -1)[found.frame.numpy(), found.cell.numpy()]
    return [part.numpy()[wanted] for part in (found.frame, found.z_pres, found.z_where, found.z_what)]


@pytest.mark.parametrize("colors", [False, True], ids=["rgb", "numbers"])
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS.keys())
def test_streams_are_followed(layers, colors: bool) -> None:
    """Frame after frame of three games, not always all of them, in any order, things coming and going."""
    rng = np.random.default_rng(3)
    palette = rng.integers(0, 256, (256, 3)).astype(np.uint8)
    still = rng.integers(0, 20, (SIDE, SIDE)).astype(np.uint8)  # numbers; some cells will look like it again
    space = make(layers, image=palette[still])
    sparse, patch = SparseEncoder(space), SIDE // GRID
    state = sparse.begin(3, 1 if colors else 3)
    numbers = np.repeat(still[None], 3, axis=0)
    threshold = middle(space, tensor(palette[numbers]))
    found_some = 0
    for _ in range(40):
        chosen = rng.permutation(3)[: rng.integers(1, 4)]
        for stream in chosen:
            for row, column in rng.integers(0, GRID, (rng.integers(0, 4), 2)):
                place = np.s_[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch]
                back = rng.random() < 0.4
                numbers[stream][place] = still[place] if back else rng.integers(20, 200, (patch, patch))
        pixels = palette[numbers[chosen]]
        given = (numbers[chosen], palette) if colors else (pixels, None)
        found, left = sparse.follow(given[0], chosen.tolist(), state, threshold, given[1])
        assert not len(left)
        cells = (pixels != palette[still]).reshape(len(chosen), GRID, patch, GRID, patch, 3).any(axis=(2, 4, 5))
        for ours, theirs in zip(found, at(pixels, space, threshold, cells), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
        found_some += len(found.frame)
    assert found_some > 50


@pytest.mark.parametrize("number", [0, 2, 254, 1, 253])
def test_the_first_frame_of_numbers_is_new_everywhere(number: int) -> None:
    """Whatever number its pixels have, of a console's colours (even) or of a mixture (odd): all cells are looked at."""
    rng = np.random.default_rng(number)
    palette = rng.integers(0, 256, (256, 3)).astype(np.uint8)
    space = make(image=palette[rng.integers(0, 200, (SIDE, SIDE))])
    sparse = SparseEncoder(space)
    numbers = np.full((1, SIDE, SIDE), number, np.uint8)
    found, left = sparse.follow(numbers, [1], sparse.begin(2, 1), 0.0, palette)
    assert not len(left) and len(found.frame) == GRID * GRID
    for ours, theirs in zip(found, at(palette[numbers], space, 0.0, np.ones((1, GRID, GRID), bool)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_too_much_at_once_is_left_to_the_whole_encoder_but_not_for_ever() -> None:
    """Each stream counts for itself."""
    space = make()
    sparse, state = SparseEncoder(space), SparseEncoder(space).begin(2)
    noise = np.random.default_rng(1).integers(0, 256, (MAX_LEFT + 3, SIDE, SIDE, 3)).astype(np.uint8)
    assert sparse.follow(background()[None], [0], state).left.tolist() == []
    answers = []
    for i, frame in enumerate(noise[: MAX_LEFT + 2]):
        others = [background()] if i % 3 == 0 else []
        order = [0, 1] if i % 2 else [1, 0]
        frames = np.stack([frame, *others])[order] if others else frame[None]
        left = sparse.follow(frames, order if others else [0], state).left
        answers.append(len(left) == 1)
    assert answers == [True] * MAX_LEFT + [False] + [True]  # once brought up to date, it counts from there
    found, left = sparse.follow(noise[[MAX_LEFT]], [0], state, 0.0)
    assert not len(left)
    for ours, theirs in zip(found, at(noise[[MAX_LEFT]], space, 0.0, np.ones((1, GRID, GRID), bool)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    # Numbers of colours say nothing of a background: the first frame of a stream is new in every cell.
    numbers = np.zeros((1, SIDE, SIDE), np.uint8)
    assert not len(sparse.follow(numbers, [0], sparse.begin(1, 1), colors=np.zeros((256, 3), np.uint8)).left)


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": ((5, 4, 2, 1, 0), (6, 2, 2, 0, 0), AROUND[0])},  # patches that overlap
        {"layers": (AROUND[0], (5, 4, 4, 0, 0))},  # neighbours before patches
        {"layers": ((5, 4, 4, 0, 0), (6, 5, 1, 2, 0))},  # neighbours of neighbours
        {"z_what_from": "glimpse"},
        {"color_order": "bgr"},
        {"background": BackgroundConfig("components"), "frame_size": (64, 64), "grid": 16},
    ],
    ids=str,
)
def test_what_it_does_not_fit(changes) -> None:
    changes = dict(changes)
    layers = changes.pop("layers", LAYERS["one patch layer, two around"])
    if changes.get("frame_size"):
        layers = ((5, 4, 4, 0, 0), AROUND[0])
    image = changes.get("background") is not None
    space = make(layers, **changes) if not image else untrained(layers, changes)
    assert not SparseEncoder.fits(space)


def untrained(layers, changes) -> Space:
    encoder = EncoderConfig(layers=layers, lateral=False, norm="batch")
    return Space(replace(TINY, z_what_from="map", encoder=encoder, **changes)).eval().fused()


def test_a_background_between_bytes_does_not_fit() -> None:
    space = make()
    assert space.image is not None
    space.image.add_(0.4 / 255)
    assert not SparseEncoder.fits(space)
    assert not SparseEncoder.fits(Space(TINY))  # not fused, GroupNorm


@pytest.mark.parametrize("frames", [np.zeros((2, SIDE, SIDE + 1, 3), np.uint8), np.zeros((2, SIDE, SIDE, 3))])
def test_frames_that_are_none(frames) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 frames \(B, 24, 24, 3\), got"):
        SparseEncoder(make()).encode(frames)
