"""Rooms of one split as one compressed .npz: images (N, 128, 128, 3) uint8, boxes (N, 24, 4) uint8 x y w h, counts (N,).

    MUJOCO_GL=egl python make_npz.py OUT.npz --kind large --count 1200 --seed 0
"""
import argparse
import time

import numpy as np
from make_rooms import KINDS, MOST, Rooms

p = argparse.ArgumentParser()
p.add_argument("out")
p.add_argument("--kind", choices=KINDS, default="large")
p.add_argument("--count", type=int, default=100)
p.add_argument("--seed", type=int, default=0)
a = p.parse_args()
rooms, began = Rooms(), time.process_time()
images = np.zeros((a.count, 128, 128, 3), np.uint8)
boxes, counts = np.zeros((a.count, MOST, 4), np.uint8), np.zeros(a.count, np.uint8)
for i in range(a.count):
    images[i], found = rooms.make(np.random.default_rng((a.seed, i)), a.kind)
    counts[i] = len(found)
    for j, (box, *_) in enumerate(found):
        boxes[i, j] = box
np.savez_compressed(a.out, images=images, boxes=boxes, counts=counts)
print(a.out, f"{a.count / (time.process_time() - began):.1f} pictures/CPU-s, boxes/picture {counts.mean():.1f}")
