"""3D rooms with balls, boxes and cylinders, drawn by MuJoCo without a screen: pictures that are no game.

They are like those that SPACE (arXiv 2001.02407) was tried on: ``large`` rooms of many small objects, and ``small``
rooms of a few large ones. The true boxes are those of what is seen of each object, from the segmentation.

MuJoCo is the extra ``rooms``. It draws with EGL or with OSMesa, whichever library is there; the environment variable
``MUJOCO_GL`` says which, if it is set.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from spacetime_env.data.meta import DatasetError

COLORS = {
    "red": (0.85, 0.15, 0.15),
    "green": (0.15, 0.7, 0.2),
    "blue": (0.15, 0.25, 0.85),
    "yellow": (0.9, 0.85, 0.2),
    "purple": (0.55, 0.2, 0.7),
    "cyan": (0.2, 0.8, 0.85),
    "orange": (0.95, 0.55, 0.1),
    "white": (0.95, 0.95, 0.95),
}
SCENERY = ((0.55, 0.45, 0.35), (0.35, 0.45, 0.5), (0.6, 0.6, 0.5), (0.45, 0.35, 0.4), (0.5, 0.55, 0.6))
SHAPES = ("ball", "box", "cylinder")
WALLS = ((1, 0), (-1, 0), (0, 1), (0, -1))  # the direction of each from the middle of the room
HALF = 2.2  # of a side of the room, metres
HEIGHT = 0.45  # half of a wall's
MOST = 24  # objects of a room
LEAST_AREA = 8  # pixels: of an object that shows less, there is no box

LIBRARIES = {"egl": ("libEGL.so.1",), "osmesa": ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")}
INSTALL = (
    "On Debian and Ubuntu: apt-get install libegl1 libgl1-mesa-dri (EGL), or apt-get install libosmesa6 (OSMesa); "
    "MUJOCO_GL=egl or MUJOCO_GL=osmesa chooses one"
)


class Kind(NamedTuple):
    """What is in a room."""

    objects: tuple[int, int]  # least and most
    radius: tuple[float, float]  # of an object, metres


KINDS = {"large": Kind((18, MOST), (0.13, 0.22)), "small": Kind((4, 8), (0.3, 0.5))}


@dataclass(frozen=True)
class Room:
    """A picture of a room."""

    picture: np.ndarray  # (H, W, 3) uint8 RGB
    boxes: np.ndarray  # (n, 4) int64: x, y, w, h in pixels of what is seen of each object
    shapes: tuple[str, ...]  # of each object, one of SHAPES


class RoomPainter:
    """Draws rooms. It holds memory of the graphics library, which :meth:`close` frees.

    Args:
        kind: ``"large"`` or ``"small"``.
        size: height and width of the pictures in pixels.

    Raises:
        DatasetError: MuJoCo is not installed, or there is no library that it can draw with.
    """

    def __init__(self, kind: str, size: int = 128) -> None:
        self.kind = KINDS[kind]
        self._mujoco = load_mujoco()
        try:
            self._model = self._built(size)
            self._data = self._mujoco.MjData(self._model)
            self._color, self._ids = (self._mujoco.Renderer(self._model, size, size) for _ in range(2))
        except Exception as error:  # of the library, of many kinds
            why = " ".join(str(error).split()).rstrip(".")
            raise DatasetError(f"MuJoCo cannot draw here ({why:.300}). {INSTALL}.") from None
        self._ids.enable_segmentation_rendering()
        self._camera = self._mujoco.MjvCamera()

    def __enter__(self) -> RoomPainter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the graphics library's memory."""
        self._color.close()
        self._ids.close()

    def draw(self, rng: np.random.Generator) -> Room:
        """A room, which depends on the random numbers alone."""
        self._model.geom_rgba[:, 3] = 1
        self._paint_scenery(rng)
        placed = self._place_objects(rng)
        self._look(rng)
        self._mujoco.mj_forward(self._model, self._data)
        pictures = []
        for renderer in (self._color, self._ids):
            renderer.update_scene(self._data, self._camera)
            pictures.append(renderer.render().copy())
        boxes, shapes = [], []
        for number, shape in placed:
            ys, xs = np.nonzero(pictures[1][..., 0] == number)
            if len(ys) >= LEAST_AREA:
                x, y = int(xs.min()), int(ys.min())
                boxes.append((x, y, int(xs.max()) - x + 1, int(ys.max()) - y + 1))
                shapes.append(shape)
        return Room(pictures[0], np.array(boxes, np.int64).reshape(-1, 4), tuple(shapes))

    def _built(self, size: int) -> Any:
        """The model: geom 0 is the floor, 1 to 4 are walls, 5 is the sky, the others are objects."""
        geometry, spec = self._mujoco.mjtGeom, self._mujoco.MjSpec()
        spec.visual.global_.offwidth = spec.visual.global_.offheight = size
        spec.visual.global_.fovy = 55
        spec.visual.quality.offsamples = 4
        spec.visual.headlight.ambient, spec.visual.headlight.diffuse = (0.35,) * 3, (0.15,) * 3
        spec.visual.headlight.specular = (0,) * 3
        spec.visual.map.znear, spec.visual.map.zfar = 0.02, 20
        sun = self._mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
        spec.worldbody.add_light(
            pos=(1, 1.5, 4), dir=(-0.25, -0.35, -1), type=sun, diffuse=(0.55,) * 3, castshadow=False
        )
        add = spec.worldbody.add_geom
        add(name="floor", type=geometry.mjGEOM_BOX, size=(9, 9, 0.1), pos=(0, 0, -0.1))
        for i in range(len(WALLS)):
            add(name=f"wall{i}", type=geometry.mjGEOM_BOX, size=(1, 1, 1))
        add(name="sky", type=geometry.mjGEOM_BOX, size=(0.01, 9, 9))  # a board behind all, turned to the camera
        for i in range(MOST):
            add(name=f"object{i}", type=geometry.mjGEOM_SPHERE, size=(0.1, 0.1, 0.1))
        model = spec.compile()
        model.geom_sameframe[:] = self._mujoco.mjtSameFrame.mjSAMEFRAME_NONE  # places are set later
        return model

    def _paint_scenery(self, rng: np.random.Generator) -> None:
        """Floor, walls and sky in three colours."""
        model = self._model
        floor, wall, sky = (SCENERY[i] for i in rng.permutation(len(SCENERY))[:3])
        model.geom_rgba[0, :3], model.geom_rgba[1:5, :3], model.geom_rgba[5, :3] = floor, wall, sky
        for i, (x, y) in enumerate(WALLS, start=1):
            model.geom_pos[i] = (x * (HALF + 0.05), y * (HALF + 0.05), HEIGHT)
            model.geom_size[i] = (0.05 if x else HALF + 0.1, 0.05 if y else HALF + 0.1, HEIGHT)

    def _place_objects(self, rng: np.random.Generator) -> list[tuple[int, str]]:
        """Objects on the floor that do not touch; the number of each geom and its shape. The other geoms are hidden."""
        model, geometry = self._model, self._mujoco.mjtGeom
        types = {"ball": geometry.mjGEOM_SPHERE, "box": geometry.mjGEOM_BOX, "cylinder": geometry.mjGEOM_CYLINDER}
        count = int(rng.integers(self.kind.objects[0], self.kind.objects[1] + 1))
        circles: list[tuple[float, float, float]] = []
        placed: list[tuple[int, str]] = []
        for number in range(6, 6 + MOST):
            radius = float(rng.uniform(*self.kind.radius))
            place = _free(rng, circles, radius) if number < 6 + count else None
            if place is None:
                model.geom_rgba[number, 3] = 0
                continue
            circles.append((*place, radius))
            shape, color = SHAPES[rng.integers(len(SHAPES))], list(COLORS.values())[rng.integers(len(COLORS))]
            side = radius * (0.75 if shape == "box" else 1)
            turn = rng.uniform(0, np.pi)
            model.geom_type[number], model.geom_size[number] = types[shape], (side,) * 3
            model.geom_pos[number], model.geom_quat[number] = (*place, side), (np.cos(turn), 0, 0, np.sin(turn))
            model.geom_rgba[number, :3] = color
            placed.append((number, shape))
        return placed

    def _look(self, rng: np.random.Generator) -> None:
        """Put the camera somewhere around the room, and hide the walls between."""
        model, camera = self._model, self._camera
        camera.azimuth, camera.elevation = rng.uniform(0, 360), rng.uniform(-45, -30)
        camera.distance = HALF * rng.uniform(1.9, 2.2)
        camera.lookat[:] = (0, 0, 0)
        angle = np.radians(camera.azimuth)
        model.geom_pos[5] = (8 * np.cos(angle), 8 * np.sin(angle), 0)
        model.geom_quat[5] = (np.cos(angle / 2), 0, 0, np.sin(angle / 2))
        for i, (x, y) in enumerate(WALLS, start=1):
            if x * np.cos(angle) + y * np.sin(angle) < 0:
                model.geom_rgba[i, 3] = 0


def _free(
    rng: np.random.Generator, circles: list[tuple[float, float, float]], radius: float
) -> tuple[float, float] | None:
    """A place on the floor that is apart from circles (x, y, radius); None if a hundred tries find none."""
    for _ in range(100):
        x, y = rng.uniform(-HALF + radius, HALF - radius, 2).tolist()
        if all(np.hypot(x - a, y - b) > radius + r + 0.02 for a, b, r in circles):
            return x, y
    return None


def load_mujoco() -> Any:
    """The module ``mujoco``, told to draw without a screen.

    Raises:
        DatasetError: it is not installed, or no library is there that it can draw with.
    """
    if "MUJOCO_GL" not in os.environ and os.name == "posix" and os.uname().sysname == "Linux":
        there = [name for name, files in LIBRARIES.items() if any(map(_loads, files))]
        if not there:
            raise DatasetError(f"there is no library to draw with (EGL or OSMesa). {INSTALL}.")
        os.environ["MUJOCO_GL"] = os.environ["PYOPENGL_PLATFORM"] = there[0]  # mujoco reads it when it is imported
    try:
        import mujoco
    except ImportError as error:
        if error.name == "mujoco":
            raise DatasetError(
                "rooms are drawn by MuJoCo, which is not installed: pip install 'spacetime-env[rooms]'."
            ) from None
        raise DatasetError(f"MuJoCo cannot be used ({error}). {INSTALL}.") from None
    except (AttributeError, OSError, RuntimeError) as error:  # PyOpenGL, where the library lacks something
        raise DatasetError(f"MuJoCo cannot draw here ({error}). {INSTALL}.") from None
    return mujoco


def _loads(file: str) -> bool:
    """Whether a shared library is there."""
    try:
        ctypes.CDLL(file)
    except OSError:
        return False
    return True
