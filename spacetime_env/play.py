"""Play with a trained agent and show what it sees: ``python -m spacetime_env.play``.

Prints some of the objects and the return of each episode, and writes a GIF of the first episode with the detected
boxes drawn in. :mod:`spacetime_env.viewer` shows more of what a model sees.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from spacetime_env.commands.command_line import exit_status, positive

if TYPE_CHECKING:
    from spacetime_env.objects.film import Film

SAMPLES = (100, 200, 300)  # the steps of the first episode whose objects are printed
GIF_SCALE = 2


def main(words: Sequence[str] | None = None) -> int:
    """The command line. Exit status: 0 done, 1 an error in plain words, 130 interrupted."""
    options = parser().parse_args(words)
    import torch

    torch.set_num_threads(1)  # one frame at a time: more threads only wait for each other, most on a busy machine
    return exit_status("play", lambda: play(**vars(options)), errors=(gym.error.Error,))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="run.py play", description="Play with an agent on the objects that a model finds."
    )
    made.add_argument("--agent", default="pong-ppo", help="a shipped agent or an agent folder (default: %(default)s)")
    made.add_argument("--model", help="another model than the agent's own: a name or a folder")
    made.add_argument("--episodes", type=positive, default=3, help="how many to play (default: %(default)s)")
    made.add_argument("--max-steps", type=positive, help="cut each episode off after so many steps")
    made.add_argument("--seed", type=int, default=0, help="of the first episode; the next has the next one")
    made.add_argument("--gif", type=Path, default=Path("play.gif"), help="its file (default: %(default)s)")
    made.add_argument("--gif-steps", type=int, default=300, help="steps in the GIF (default: %(default)s); 0: none")
    return made


def play(
    agent: str = "pong-ppo",
    model: str | None = None,
    episodes: int = 3,
    max_steps: int | None = None,
    seed: int = 0,
    gif: Path = Path("play.gif"),
    gif_steps: int = 300,
) -> list[float]:
    """Play, print and write the GIF. The GIF is also written if the play is stopped with Ctrl-C.

    Args:
        agent: name of a shipped agent, or an agent folder.
        model: name or folder of another model than the one that the agent was trained on.
        episodes: how many to play.
        max_steps: after so many steps an episode is cut off; None: it ends when the game does.
        seed: of the first episode; the next episode has the next seed.
        gif: the file that the GIF of the first episode is written to.
        gif_steps: how many steps the GIF shows; 0: none is written.

    Returns:
        The return of each episode.

    Raises:
        ValueError: there is no such agent or model, it is damaged, or the two do not fit.
        OSError: the GIF cannot be written.
    """
    from spacetime_env.agent import load_actor
    from spacetime_env.objects.film import Film

    act, env = load_actor(agent, model, render_mode="rgb_array")
    film, returns = Film(), list[float]()
    print(f"{agent} plays {env.spec.id if env.spec else 'its env'}.", flush=True)
    try:
        for episode in range(episodes):
            began, step, total, over = time.perf_counter(), 0, 0.0, False
            observation, _ = env.reset(seed=seed + episode)
            while not over and step != max_steps:
                observation, reward, terminated, truncated, _ = env.step(act(observation))
                step, total, over = step + 1, total + float(reward), terminated or truncated
                if episode == 0:
                    _show(env, step, film, gif_steps)
            returns.append(total)
            pace = step / (time.perf_counter() - began)
            cut = "" if over else ", cut off"
            print(f"\nepisode {episode + 1}: return {total:g} ({step} steps{cut}, {pace:.0f} a second)", flush=True)
    finally:
        env.close()
        if film.pictures:
            gif.parent.mkdir(parents=True, exist_ok=True)
            print(f"\nThe first {len(film.pictures)} steps, with boxes: {film.save(gif.resolve())}")
    print(f"Mean return of {episodes} episode{'s' * (episodes > 1)}: {np.mean(returns):.1f}")
    return returns


def _show(env: gym.Env[Any, Any], step: int, film: Film, gif_steps: int) -> None:
    """Print the objects of a step if it is one of :data:`SAMPLES`, and add its picture to the GIF."""
    from spacetime_env.objects.detections import table
    from spacetime_env.objects.drawing import draw

    detections = env.get_wrapper_attr("detections")
    if step in SAMPLES:
        print(f"\nstep {step}\n{table(detections)}", flush=True)
    if step <= gif_steps:
        picture: Any = env.render()
        film.add(draw(picture, detections, GIF_SCALE))


if __name__ == "__main__":
    sys.exit(main())
