"""``python -m benchmarks.sheets``: pictures of true boxes, to judge by eye whether what is drawn was found.

A tile shows a RAM box (green) and the drawn box that was made of it (yellow), on the picture that a model is shown. Its
title has a number, the class, and ``none`` where nothing is drawn, or the kind if the box is neutral. The boxes of a
game are spread over its classes. What two judges counted is in benchmarks/DRAWN.md.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from spacetime_env.data.recording import Recording
from spacetime_env.data.split import open_split
from spacetime_env.evaluation.drawn import Looks, drawn_truth, learn_looks
from spacetime_env.evaluation.drawn_colors import rectangles
from spacetime_env.evaluation.drawn_frames import Seen, seen_in

SIDE, ACROSS, DOWN = 190, 10, 5  # pixels of a tile, tiles in a row, rows of a sheet
AROUND = 16  # pixels of the game beside the boxes
GREEN, YELLOW, GREY = (0, 255, 0), (255, 255, 0), (60, 60, 60)
Box = tuple[int, int, int, int]  # x0, y0, x1, y1


def tile(picture: np.ndarray, ram: Box, drawn: Box | None, title: str) -> np.ndarray:
    """A part of a picture (H, W, 3), enlarged, with two boxes around pixels: (SIDE + 14, SIDE + 4, 3) uint8 RGB."""
    both = [ram] if drawn is None else [ram, drawn]
    low, high = np.min([box[:2] for box in both], axis=0), np.max([box[2:] for box in both], axis=0)
    scale = max(1, SIDE // int((high - low).max() + AROUND))
    side = SIDE // scale
    left, top = ((low + high) // 2 - side // 2).tolist()
    part = np.full((side, side, 3), GREY, np.uint8)
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    if x1 > x0 and y1 > y0:
        part[y0 - top : y1 - top, x0 - left : x1 - left] = picture[y0:y1, x0:x1]
    large = part.repeat(scale, axis=0).repeat(scale, axis=1)
    for box, color in zip(both, (GREEN, YELLOW), strict=False):
        corners = [((box[i] - left) * scale, (box[i + 1] - top) * scale) for i in (0, 2)]
        cv2.rectangle(large, (corners[0][0] - 1, corners[0][1] - 1), corners[1], color)
    out = np.full((SIDE + 14, SIDE + 4, 3), 30, np.uint8)
    out[12 : 12 + large.shape[0], 2 : 2 + large.shape[1]] = large
    cv2.putText(out, title, (2, 10), cv2.FONT_HERSHEY_PLAIN, 0.75, (255, 255, 255), 1)
    return out


def tiles(splits: Sequence[Recording], count: int, seed: int) -> list[np.ndarray]:
    """``count`` tiles, spread over the classes and drawn from all splits."""
    looks = learn_looks(splits)
    chosen: dict[str, list[tuple[int, int, int]]] = defaultdict(list)  # class -> split, frame, box
    all_boxes, all_seen, all_kinds = [], [], []
    for s, split in enumerate(splits):
        boxes, seen = _of_moving(split, looks)
        all_boxes.append(boxes)
        all_seen.append(seen)
        all_kinds.append(drawn_truth(split, looks))
        height, width = split.native
        for f, (ram, one) in enumerate(zip(boxes, seen, strict=True)):
            for i, c in enumerate(one.classes.tolist()):
                x, y, w, h = ram[i]
                if x + w > 0 and y + h > 0 and x < width and y < height:
                    chosen[looks.colors.classes[c]].append((s, f, i))
    found, rng = [], np.random.default_rng(seed)
    names = sorted(chosen, key=lambda name: len(chosen[name]))
    for n, name in enumerate(names):
        share = min(len(chosen[name]), (count - len(found)) // (len(names) - n))
        for k in sorted(rng.choice(len(chosen[name]), share, replace=False).tolist()):
            s, f, i = chosen[name][k]
            one, said = all_seen[s][f], all_kinds[s][f]
            drawn = None
            title = f"{len(found)} {name[:14]}"
            if one.pixels[i]:
                x, y, w, h = one.boxes[i].astype(int).tolist()
                drawn = (x, y, x + w, y + h)
                neutral = zip(said.neutral.boxes.tolist(), said.kinds, strict=True)
                kinds = [kind for box, kind in neutral if box == one.boxes[i].tolist()]
                title += f" {kinds[0]}" if kinds else ""
            else:
                title += " unshown" if one.unshown[i] else " none"
            stack, t = divmod(f, splits[s].meta.length)
            picture = splits[s].frames([stack])[0, t]
            x0, y0, x1, y1 = rectangles(all_boxes[s][f][i : i + 1], splits[s].native)[0].tolist()
            found.append(tile(picture, (x0, y0, x1, y1), drawn, title))
    return found


def _of_moving(split: Recording, looks: Looks) -> tuple[list[np.ndarray], list[Seen]]:
    """RAM boxes of the classes that move in each frame, and what is drawn of them."""
    boxes: list[np.ndarray] = []
    seen: list[Seen] = []
    for shard in split.shards():
        kept = looks.labels(shard)
        assert kept.labels is not None
        boxes += [kept.labels[f] for f in range(len(kept.labels))]
        seen += seen_in(kept, looks.colors, split.subframes)
    return boxes, seen


def main() -> int:
    """Write the sheets of some games."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sheets", description=__doc__)
    parser.add_argument("games", nargs="+", metavar="GAME[:SUBFRAMES]", help="such as Alien:2; default: 1 subframe")
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="default: %(default)s")
    parser.add_argument("--count", type=int, default=100, help="boxes a game (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="the folder of the sheets")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for word in asked.games:
        game, _, subframes = word.partition(":")
        paths = sorted((asked.data_root / game).glob("test-*"))
        found = tiles([open_split(path, game, None, int(subframes or 1)) for path in paths], asked.count, asked.seed)
        whole = ACROSS * DOWN
        for sheet in range(-(-len(found) // whole)):
            part = found[sheet * whole : (sheet + 1) * whole]
            part += [np.zeros_like(part[0])] * (-len(part) % ACROSS)
            rows = [np.concatenate(part[at : at + ACROSS], axis=1) for at in range(0, len(part), ACROSS)]
            cv2.imwrite(str(asked.out / f"{game}-{sheet}.png"), np.concatenate(rows)[..., ::-1])
        print(f"{game}: {len(found)} boxes of {', '.join(path.name for path in paths)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
