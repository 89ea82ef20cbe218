"""Show what a model sees: ``python load_model.py --model pong``. See ``--help``.

Plays a game, prints the objects of some steps, and writes pictures of these: the frame with boxes, names and
confidences, and the frame beside what the latents draw. A GIF shows all steps.
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
from spacetime_env.commands.command_line import exit_status, positive
from spacetime_env.envs.choose_model import default_model, load_for
from spacetime_env.files import FileError, shown_names, write_atomically
from spacetime_env.files.pictures import read_picture
from spacetime_env.frames import resize
from spacetime_env.games import canonical, is_game
from spacetime_env.objects.detections import Detections, table
from spacetime_env.objects.drawing import draw, side_by_side
from spacetime_env.objects.film import STEPS_PER_SECOND, Film

if TYPE_CHECKING:
    from spacetime_env.models.model import Model

GIF_SCALE = 2
ESCAPE, Q = 27, ord("q")


class ViewerError(ValueError):
    """Nothing can be shown; the message says why and what to do."""


def main(words: Sequence[str] | None = None) -> int:
    """The command line. Exit status: 0 done, 1 an error in plain words, 130 interrupted."""
    options = parser().parse_args(words)

    def run() -> None:
        if options.image:
            model = _model_name(options.model, options.game)
            look_at_image(model, options.image, options.out, options.game, options.device)
        else:
            watch(**{key: value for key, value in vars(options).items() if key != "image"})

    return exit_status("load_model", run, errors=(gym.error.Error,))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="load_model.py", description="Look at what a model sees.")
    made.add_argument("--model", help="a bundled model's name or a model folder (default: the agent's own, or pong)")
    made.add_argument("--game", help="of a model of several games: which; without --model, the game's own")
    made.add_argument("--steps", type=positive, default=300, help="steps to play (default: %(default)s)")
    made.add_argument("--every", type=positive, default=50, help="steps between two tables and pictures")
    made.add_argument("--out", type=Path, default=Path("look"), help="folder for the pictures (default: look)")
    made.add_argument("--agent", default="random", help="random, a shipped agent's name or an agent folder")
    made.add_argument("--seed", type=int, default=0, help="of the game and of the random agent")
    made.add_argument("--human", action="store_true", help="show it in a window; q or Escape ends it")
    made.add_argument("--device", help="where the model runs, such as cuda (default: cpu)")
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
    device: str | None = None,
) -> list[Path]:
    """Play, print and draw. What was drawn is kept if the play is stopped with Ctrl-C.

    Args:
        model: name, folder or loaded model. None: the agent's own; with random play that of ``game``, or ``"pong"``.
        steps: how many to play; where an episode ends, the next one begins. One of ``every`` is printed and drawn.
        out: folder for the pictures; it is made if it is missing.
        agent: ``"random"``, the name of a shipped agent or an agent folder.
        seed: of the first episode, and of random play.
        human: show each step in a window, where q and Escape end the play.
        game: with random play, which game of a model of several games.
        device: where the model runs; None: the CPU, or where a loaded one is.

    Returns:
        The files written, the GIF last.

    Raises:
        ViewerError: ``human`` where no window can be opened.
        ValueError: there is no such model, agent or device, or they do not fit.
    """
    window = Window() if human else None
    act, env = _actor(agent, model, seed, game, device)
    folder = _made(out)  # after the model is found, so that a wrong name leaves no empty folder
    loaded = env.get_wrapper_attr("model")
    print(f"{loaded.game}: {shown_names(loaded.class_names)}. Pictures go to {folder}.")
    written, film = list[Path](), Film()
    try:
        observation, total = env.reset(seed=seed)[0], 0.0
        for step in range(steps + 1):
            frame = env.get_wrapper_attr("pooled")(env.render())
            found = env.get_wrapper_attr("detections")
            if step % every == 0:
                print(f"\nstep {step}, return {total:g}")
                written += _report(loaded, frame, found, folder, f"frame-{step:05d}.png", f"parts-{step:05d}.png")
            film.add(draw(frame, found, GIF_SCALE))
            if step == steps or (window and not window.show(draw(frame, found))):
                break
            observation, reward, terminated, truncated, _ = env.step(act(observation))
            total += float(reward)
            if terminated or truncated:
                print(f"\nThe episode ended after step {step + 1} with a return of {total:g}.")
                observation, total = env.reset()[0], 0.0
    finally:
        env.close()
        if window:
            window.close()
        if film.pictures:
            written.append(film.save(folder / "play.gif"))
    print(f"\nWrote {len(written)} files to {folder}; {written[-1].name} shows all steps.")
    return written


def look_at_image(
    model: str | Model,
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    game: str | None = None,
    device: str | None = None,
) -> list[Path]:
    """Find the objects in one picture; print them, and write the two pictures that :func:`watch` writes of a step.

    Args:
        model: name, folder or loaded model.
        path: the picture's file, of any format that Pillow reads. It is resized to the model's native size.
        out: folder for the pictures; it is made if it is missing.
        game: which game of a model of several games.
        device: see :func:`watch`.

    Returns:
        The files written.

    Raises:
        ViewerError: there is no such file, or see :func:`~spacetime_env.files.pictures.read_picture`.
        ValueError: there is no such model, or it does not know the game.
    """
    loaded: Any = _loaded(model, game, device)
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
    files = f"{path.stem}-frame.png", f"{path.stem}-parts.png"
    written = _report(loaded, frame, loaded.detect(frame)[0], folder, *files)
    print(f"Wrote {' and '.join(str(file) for file in written)}.")
    return written


def _report(
    model: Any, frame: np.ndarray, found: Detections, folder: Path, frame_file: str, parts_file: str
) -> list[Path]:
    """Print what was found in a frame, and write it drawn on the frame, and :func:`parts`; returns the files."""
    print(table(found))
    return [save(folder / frame_file, draw(frame, found)), save(folder / parts_file, parts(model, frame))]


def parts(model: Any, frame: np.ndarray) -> np.ndarray:
    """A picture of the frame, (H, W, 3) uint8 RGB, beside what the model's latents draw of it.

    These are the reconstruction, the foreground, the background and alpha.
    """
    pictures = model.reconstruct(frame)
    names = ("reconstruction", "foreground", "background", "alpha")
    return side_by_side({"frame": frame, **{name: pictures[name][0] for name in names}})


def save(path: Path, picture: np.ndarray) -> Path:
    """Write a picture, (H, W, 3) uint8 RGB, as PNG, either whole or not at all; returns ``path``."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())
    return path


class Window:
    """A window of OpenCV on the screen.

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
        """Show a picture, (H, W, 3) uint8 RGB, for the time of one step; False if the user wants to end."""
        cv2.imshow(self.TITLE, picture[..., ::-1])
        key = cv2.waitKey(1000 // STEPS_PER_SECOND) & 0xFF
        return key not in (ESCAPE, Q) and cv2.getWindowProperty(self.TITLE, cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        """Close the window."""
        cv2.destroyWindow(self.TITLE)


def _actor(
    agent: str, model: Any, seed: int, game: str | None, device: str | None
) -> tuple[Callable[[Any], Any], gym.Env[Any, Any]]:
    """A function from observations to actions, and the env that it plays."""
    if agent == "random":
        loaded = _loaded(_model_name(model, game), game, device)
        if not is_game(loaded.game):
            raise ViewerError(f"the model is of {loaded.game}, which is no game to play: give a picture with --image.")
        env = gym.make(f"SpaceTime/{canonical(loaded.game)}-v5", model=loaded, render_mode="rgb_array")
        env.action_space.seed(seed)
        return lambda observation: env.action_space.sample(), env
    if game is not None:
        raise ViewerError(f"--game is for random play; the agent {agent} plays the game that it was trained on.")
    from spacetime_env.agent import load_actor

    asked = {} if device is None else {"model_device": device}
    return load_actor(agent, model, render_mode="rgb_array", **asked)


def _model_name(model: Any, game: str | None) -> Any:
    """``model`` as it is given; if it is None, the name of the bundled model of the game, or of Pong."""
    if model is not None:
        return model
    return default_model(canonical(game)) if game is not None else "pong"


def _loaded(model: Any, game: str | None, device: str | None) -> Any:
    """The model, loaded if ``model`` is a name or a path, on a device if one is asked for."""
    from spacetime_env.models.folder import load_model

    if not isinstance(model, (str, os.PathLike)):
        return load_for(model, game, device)
    asked = {} if device is None else {"device": device}
    return load_model(model, **asked) if game is None else load_model(model, game, **asked)


def _made(folder: str | os.PathLike[str]) -> Path:
    """The folder, which is made if it is missing."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
