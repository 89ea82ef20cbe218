"""``SpaceTime/Any-v0``: any Gymnasium environment that renders its frames, in the wrapper that shows their objects."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from spacetime_env.envs.frames import RENDERS
from spacetime_env.envs.wrapper import SpaceTimeObservation
from spacetime_env.files import shown
from spacetime_env.models.watcher import ObjectModel


class UnknownEnvError(ValueError):
    """There is no such environment, or it cannot be made with these options; the message says why."""


class AnyEnv(SpaceTimeObservation):
    """An environment that is no Atari game, with the objects of its rendered frames as observations.

    Attributes:
        has_noop: no action is known to do nothing, so nothing waits at the start of an episode.
    """

    has_noop = False

    @property
    def spec(self) -> gym.envs.registration.EnvSpec | None:  # type: ignore[override]
        """The spec that ``gym.make`` made it of, without a wrapper on top."""
        return self.env.unwrapped.spec


def make_any_env(
    env_id: str = "",
    model: str | os.PathLike[str] | ObjectModel | None = None,
    obs_format: str = "objects",
    history: int = 1,
    overlay: bool = False,
    scene_info: bool | str = True,
    device: str | None = None,
    render_mode: str | None = None,
    **kwargs: Any,
) -> AnyEnv:
    """The entry point of ``SpaceTime/Any-v0``.

    >>> gym.make("SpaceTime/Any-v0", env_id="CartPole-v1", model="models/cartpole")    # doctest: +SKIP

    Args:
        env_id: of a registered environment; of ``module:id`` the module is imported first.
        model, obs_format, history, overlay, scene_info, device: see :class:`SpaceTimeObservation`.
        render_mode: ``"rgb_array"`` or None, which make no difference: each step is rendered.
        **kwargs: options of the environment.

    Raises:
        UnknownEnvError: there is no such environment, or it does not take these options.
        ValueError: see :class:`SpaceTimeObservation`.
    """
    if render_mode not in (None, RENDERS):
        raise ValueError(f"expected render_mode 'rgb_array' or None, got {shown(render_mode)}.")
    if model is None:
        raise ValueError("expected a model, a name or folder: SpaceTime/Any-v0 has none of its own. Pass model=...")
    env = make_rendered(env_id, kwargs)
    try:
        return AnyEnv(env, model, obs_format, history, overlay, False, scene_info, device)
    except BaseException:
        env.close()
        raise


# Gymnasium reads the render modes here, and then offers "human" itself.
make_any_env.metadata = {"render_modes": [RENDERS], "render_fps": 15}  # type: ignore[attr-defined]


def make_rendered(env_id: str, kwargs: Mapping[str, Any]) -> gym.Env[Any, Any]:
    """``gym.make`` with ``render_mode="rgb_array"``, and errors in plain words.

    Args:
        env_id: as ``gym.make`` takes it: of ``module:id`` the module is imported, and so run.
        kwargs: options of the environment.

    Raises:
        UnknownEnvError: there is no such environment, it does not take these options, or it does not render.
    """
    if not isinstance(env_id, str) or not env_id or len(env_id) > 200:
        raise UnknownEnvError(f"expected the id of an env, such as CartPole-v1 or module:Env-v0, got {shown(env_id)}.")
    try:
        env = gym.make(env_id, **{**kwargs, "render_mode": RENDERS})
    except ImportError as error:
        raise UnknownEnvError(f"the env {shown(env_id)} needs a module that cannot be imported: {error}.") from None
    except gym.error.UnregisteredEnv as error:
        near = difflib.get_close_matches(env_id, list(gym.registry), n=3)
        hint = f"Near it: {', '.join(near)}." if near else "Of another package, name its module too: module:Env-v0."
        raise UnknownEnvError(f"there is no env {shown(env_id)} ({error}). {hint}") from None
    except Exception as error:  # envs refuse options in many ways
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UnknownEnvError(f"{shown(env_id)} cannot be made with {shown(dict(kwargs))}: {reason}") from error
    if env.render_mode != RENDERS:
        env.close()
        raise UnknownEnvError(f"{shown(env_id)} does not render with render_mode='rgb_array', so it shows no frames.")
    return env
