"""Runs OCAtari's vision mode on frames in a file. Needs ocatari with what it imports, and nothing of ours.

``python ocatari_frames.py Pong frames.npy 4 found.npz``: game, RGB frames (N, H, W, 3) uint8, frames after which the
objects are made anew, and the file that gets boxes, names, the count in each frame, seconds and the version.
"""

import contextlib
import importlib
import importlib.util
import sys
import time
import types
from importlib.metadata import version

import numpy as np

# Without ocatari/__init__.py, which wants pygame.
package = types.ModuleType("ocatari")
package.__path__ = list(importlib.util.find_spec("ocatari").submodule_search_locations)
sys.modules["ocatari"] = package
init_objects = importlib.import_module("ocatari.ram.extract_ram_info").init_objects

game, source, length, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
importlib.import_module(f"ocatari.ram.{game.lower()}")
vision = importlib.import_module(f"ocatari.vision.{game.lower()}")
frames = np.load(source)
boxes, names, counts, seconds = [], [], [], []
objects = []
for f, frame in enumerate(frames):
    if f % length == 0:
        objects = init_objects(game, False, vision=True)
    began = time.perf_counter()
    for item in objects:
        if item:
            item._save_prev()
    # A fruit of Ms. Pac-Man lacks numbers of its other objects, and Seaquest has more missiles than are allowed for.
    # What was found until then counts.
    with contextlib.suppress(AttributeError, ValueError, TypeError, IndexError):
        vision._detect_objects(objects, frame, False)
    seconds.append(time.perf_counter() - began)
    found = [item for item in objects if item and item.w > 0 and item.h > 0]
    boxes += [item.xywh for item in found]
    names += [item.category for item in found]
    counts.append(len(found))
np.savez(
    out,
    boxes=np.array(boxes, np.float32).reshape(-1, 4),
    names=np.array(names, np.str_),
    counts=np.array(counts),
    seconds=np.array(seconds),
    version=version("ocatari"),
)
