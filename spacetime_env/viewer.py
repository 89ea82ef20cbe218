"""Look at what a model sees: ``python load_model.py --model pong``. See ``--help``.

Plays a game, prints the objects every so often, and writes pictures: the frame with boxes, names and
confidences; the latents' reconstruction beside the frame; and a GIF of the whole.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import cv2
import gymnasium as gym
import numpy as np
from PIL import Image

import spacetime_env  # noqa: F401  (registers the envs)
from spacetime_env.files import FileError, write_atomically
from spacetime_env.files.pictures import read_picture
from spacetime_env.frames import resize
from spacetime_env.games import canonical
from spacetime_env.objects.detections import table
from spacetime_env.objects.drawing import draw, side_by_side
from spacetime_env.objects.film import STEPS_PER_SECOND, Film

if TYPE_CHECKING:
    from spacetime_env.models.model import Model

GIF_SCALE = 2
ESCAPE, Q = 27, ord("q")


class ViewerError(ValueError):
    """Nothing can be shown; the message says why and what to do."""


def main(words: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    options = parser().parse_args(words)
    try:
        if options.image:
            look_at_image(_named(options.model, options.game), options.image, options.out, options.game)
        else:
            watch(**{key: value for key, value in vars(options).items() if key != "image"})
    except (ValueError, OSError, gym.error.Error) as error:  # BundleError, AgentError, UnknownGameError too
        print(f"load_model: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nload_model: stopped.", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="load_model.py", description="Look at what a model sees.")
    made.add_argument("--model", help="a bundled model's name or a model folder (default: the agent's own, or pong)")
    made.add_argument("--game", help="of a model of several games: which; without --model, the game's own")
    made.add_argument("--steps", type=_positive, default=300, help="steps to play (default: %(default)s)")
    made.add_argument("--every", type=_positive, default=50, help="steps between two tables and pictures")
    made.add_argument("--out", type=Path, default=Path("look"), help="folder for the pictures (default: look)")
    made.add_argument("--agent", default="random", help="random, a shipped agent's name or an agent folder")
    made.add_argument("--seed", type=int, default=0, help="of the game and of the random agent")
    made.add_argument("--human", action="store_true", help="show it in a window; q or Escape ends it")
    made.add_argument("--image", type=Path, help="look at one picture instead of playing")
    return made


def watch(
    model: str | Model | None = None,
    steps: int = 300,
    every: int = 50,
    out: str | os.PathLike[str] = "look",
    agent: str = "random",
    seed: int = 0,
    human: bool = False,
    game: str | None = None,
) -> list[Path]:
    """Play, print and draw.

    Args:
        model: name, folder or loaded model. ``None``: the agent's own; for a random agent, ``"pong"``.
        steps: how many steps to play; where an episode ends, the next begins.
        every: steps between two tables, two annotated frames and two reconstructions.
        out: folder for the pictures; made if it is not there.
        agent: ``"random"``, the name of a shipped agent or an agent folder.
        seed: of the first episode and of the random agent.
        human: show each step in a window, which ends it too.
        game: of a model of several games, which to play; of others their own. An agent plays the game it knows.

    Returns:
        The files written, the GIF last.

    Raises:
        ViewerError: ``human`` where no window can be opened.
        ValueError: there is no such model or agent, or they do not fit.
    """
    window = Window() if human else None
    act, env = _actor(agent, model, seed, game)
    folder = _made(out)  # only now: a wrong name leaves no empty folder
    loaded = env.get_wrapper_attr("model")
    print(f"{loaded.game}: {', '.join(loaded.class_names)}. Pictures go to {folder}.")
    written: list[Path] = []
    film = Film()
    try:
        observation, _ = env.reset(seed=seed)
        total = 0.0
        for step in range(steps + 1):
            frame = env.get_wrapper_attr("pooled")(env.render())
            found = env.get_wrapper_attr("detections")
            if step % every == 0:
                print(f"\nstep {step}, return {total:g}\n{table(found)}")
                written.append(save(folder / f"frame-{step:05d}.png", draw(frame, found)))
                written.append(save(folder / f"parts-{step:05d}.png", parts(loaded, frame)))
            film.add(draw(frame, found, GIF_SCALE))
            if step == steps or (window and not window.show(draw(frame, found))):
                break
            observation, reward, terminated, truncated, _ = env.step(act(observation))
            total += float(reward)
            if terminated or truncated:
                print(f"\nThe episode ended after step {step + 1} with a return of {total:g}.")
                observation, _ = env.reset()
                total = 0.0
    finally:  # also what was seen until Ctrl-C
        env.close()
        if window:
            window.close()
        if film.pictures:
            written.append(film.save(folder / "play.gif"))
    print(f"\nWrote {len(written)} files to {folder}; {written[-1].name} shows all steps.")
    return written


def look_at_image(
    model: str | Model, path: str | os.PathLike[str], out: str | os.PathLike[str], game: str | None = None
) -> list[Path]:
    """Find the objects in one picture; print them and write the two pictures of :func:`watch`.

    Args:
        model, game: see :func:`watch`.
        path: of the picture.
        out: folder for the pictures.

    Raises:
        ViewerError: the file is not there, or see :func:`~spacetime_env.files.pictures.read_picture`.
    """
    loaded: Any = _loaded(model, game)
    path = Path(path)
    try:
        frame = read_picture(path)
    except FileNotFoundError:
        raise ViewerError(f"there is no picture {path}.") from None
    except FileError as error:
        raise ViewerError(str(error)) from None
    folder = _made(out)
    height, width = loaded.native
    if frame.shape[:2] != (height, width):
        print(
            f"Note: {path} is {frame.shape[0]} x {frame.shape[1]} pixels (H x W) and the model reads "
            f"{height} x {width}: it was resized. Places and sizes are in the model's pixels."
        )
        frame = resize(frame, (height, width), antialias=True)[0]
    found = loaded.detect(frame)[0]
    print(table(found))
    written = [
        save(folder / f"{path.stem}-frame.png", draw(frame, found)),
        save(folder / f"{path.stem}-parts.png", parts(loaded, frame)),
    ]
    print(f"Wrote {' and '.join(str(file) for file in written)}.")
    return written


def parts(model: Any, frame: np.ndarray) -> np.ndarray:
    """The frame beside what the latents draw: reconstruction, foreground, background, alpha."""
    pictures = model.reconstruct(frame)
    names = ("reconstruction", "foreground", "background", "alpha")
    return side_by_side({"frame": frame, **{name: pictures[name][0] for name in names}})


def save(path: Path, picture: np.ndarray) -> Path:
    """Write a picture, (H, W, 3) uint8 RGB, as PNG: whole or not at all."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())
    return path


class Window:
    """A window on the screen, drawn by OpenCV.

    Raises:
        ViewerError: there is no screen, or this OpenCV cannot open windows.
    """

    TITLE = "spacetime_env"

    def __init__(self) -> None:
        instead = "Leave --human off: the pictures and the GIF show the same."
        if sys.platform.startswith("linux") and not (
            os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        ):  # OpenCV's Qt would end the whole process
            raise ViewerError(f"there is no display to open a window on (DISPLAY is not set). {instead}")
        try:
            cv2.namedWindow(self.TITLE, cv2.WINDOW_AUTOSIZE)
        except cv2.error:
            raise ViewerError(
                "this OpenCV cannot open windows: it is opencv-python-headless. Install opencv-python in its "
                f"place, or: {instead[0].lower()}{instead[1:]}"
            ) from None

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def show(self, picture: np.ndarray) -> bool:
        """Show (H, W, 3) uint8 RGB for one step's time; False once the user asks to end."""
        cv2.imshow(self.TITLE, picture[..., ::-1])
        key = cv2.waitKey(1000 // STEPS_PER_SECOND) & 0xFF
        return key not in (ESCAPE, Q) and cv2.getWindowProperty(self.TITLE, cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        """Close it."""
        cv2.destroyWindow(self.TITLE)


def _actor(agent: str, model: Any, seed: int, game: str | None) -> tuple[Callable[[Any], Any], gym.Env[Any, Any]]:
    """What chooses actions, and the env it plays."""
    if agent == "random":
        loaded = _loaded(_named(model, game), game)
        env = gym.make(f"SpaceTime/{loaded.game}-v5", model=loaded, render_mode="rgb_array")
        env.action_space.seed(seed)
        return lambda observation: env.action_space.sample(), env
    if game is not None:
        raise ViewerError(f"--game is for random play; the agent {agent} plays the game that it was trained on.")
    from spacetime_env.agent import load_agent

    given = {} if model is None else {"model": model, "any_model": True}
    player, env = load_agent(agent, render_mode="rgb_array", **given)
    return lambda observation: player.predict(observation, deterministic=True)[0], env


def _named(model: Any, game: str | None) -> Any:
    """The model that is asked for; where none is, that of the game, or pong."""
    if model is not None:
        return model
    return canonical(game).lower() if game is not None else "pong"


def _loaded(model: Any, game: str | None) -> Any:
    from spacetime_env.models.folder import load_model

    if not isinstance(model, (str, os.PathLike)):
        return model
    return load_model(model) if game is None else load_model(model, game)


def _made(folder: str | os.PathLike[str]) -> Path:
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 or more, got {word!r}")
    return int(word)
