"""The wrapper: an environment's observations become the objects that a SPACE-Time model finds in its frames."""

from __future__ import annotations

import os
from typing import Any, SupportsFloat, TypeAlias

import ale_py
import gymnasium as gym
import numpy as np

from spacetime_env.envs.choose_model import (
    default_model,
    game_of,
    load_for,
    require_match,
    variant,
    warn_about_unseen,
    with_classes,
)
from spacetime_env.envs.emulator import keep_subframes
from spacetime_env.envs.episode import EpisodeState, clone, frame_number, restore
from spacetime_env.envs.frames import Observed, Rendered, frame_size
from spacetime_env.envs.observation import Observer, ObsType, SceneForm
from spacetime_env.envs.options import check_observation, warn_about_overlay
from spacetime_env.models.screens import Screen
from spacetime_env.models.watcher import ObjectModel, Watcher
from spacetime_env.objects.detections import Detections
from spacetime_env.objects.tracker import Tracker

Frame: TypeAlias = "np.ndarray | Screen"  # what a model looks at: (H, W, 3) uint8 RGB, or the emulator's screen


class SpaceTimeObservation(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Replaces what an environment observes by the objects in its frames.

    An Atari environment observes its frames; any other one renders them. A model finds and names the objects of each
    frame, and a tracker gives each one a row of its own: the same object keeps its row while it lives. For many games
    at once, ``gym.make_vec`` makes a :class:`~spacetime_env.envs.vector.SpaceTimeVectorEnv`, which looks at their
    frames together; the wrapper also works under Gymnasium's and Stable-Baselines3's own vector environments.

    The rows are grouped by class in the order of :attr:`slot_names`. Their columns are :attr:`feature_names`:

    - ``presence``: 1 if the object is seen, 0 if not. One that is lost keeps its last place for a few steps;
      after that its row is zeros.
    - ``x``, ``y``: its centre, from -1 (left, top) to 1 (right, bottom).
    - ``width``, ``height``: its size as a fraction of the frame's width and height.
    - ``dx``, ``dy``: how far its centre moved since the last step, in units of the model's
      ``scene.max_speed`` native pixels, cut to [-1, 1]. 0 where it is seen for the first time.

    ``obs_format`` says in which shape they come:

    - ``"objects"``: ``Box(-1, 1, (slots, 7), float32)``.
    - ``"flat"``: the same numbers in one row after the other, ``Box(-1, 1, (slots * 7,), float32)``.
    - ``"dict"``: ``objects`` as above, and ``mask``, ``Box(0, 1, (slots,), float32)``: 1 where a row holds an
      object, seen or lost a moment ago. For Stable-Baselines3's ``MultiInputPolicy`` and for attention.
    - ``"latents"``: ``objects`` with each object's ``z_what`` appended, ``Box((slots, 7 + D))``. The
      latents are cut to [-10, 10], which their standard normal prior makes them never reach.

    With ``history=k`` each row holds the last k steps of its slot, newest first, along the last axis:
    ``(slots, k * 7)``. So the first 7 columns are always the present. After a reset the first step fills
    all of them.

    ``info["scene"]`` holds what was found in this frame, by class, before tracking: ``{"Player": [(x, y)],
    "Ball": []}``, in the same coordinates. :attr:`detections` holds the boxes, confidences and latents. With
    ``scene_info="arrays"`` each class has an array instead, ``(slots of the class, 2)`` float32, the most certain
    object first and NaN where there is none: for libraries that take numbers alone. ``scene_info=False`` leaves it out.

    ``info["dropped"]`` counts the objects that were found but are in no row, since their class has too few.

    Note:
        The wrapper never changes torch's number of threads. Where many environments run side by side, one thread each
        is fastest: set ``OMP_NUM_THREADS=1`` before starting, or call ``torch.set_num_threads(1)`` in each worker.

    Note:
        A worker that is started by spawn has not imported this package: ``"spacetime_env:SpaceTime/Pong-v5"`` does.

    Example:
        >>> import gymnasium as gym
        >>> import ale_py
        >>> from spacetime_env import SpaceTimeObservation
        >>> gym.register_envs(ale_py)
        >>> env = SpaceTimeObservation(gym.make("ALE/Pong-v5"), model="pong")
        >>> env.observation_space
        Box(-1.0, 1.0, (3, 7), float32)
        >>> env.slot_names
        ('Player', 'Enemy', 'Ball')
        >>> obs, info = env.reset(seed=123)

    Attributes:
        model: the model, see :func:`spacetime_env.load_model`.
        slot_names: the name of each row, such as ``("Player", "Ghost0", "Ghost1")``.
        feature_names: the name of each column.
        detections: the :class:`~spacetime_env.objects.detections.Detections` of the last frame; ``None`` before a
            reset.
        scene_form: makes ``info["scene"]``; ``None`` if that is left out.
    """

    detections: Detections | None = None
    _frame_number: int | None = None  # of the emulator after the last step; None before a reset

    def __init__(
        self,
        env: gym.Env[Any, Any],
        model: str | os.PathLike[str] | ObjectModel | None = None,
        obs_format: str = "objects",
        history: int = 1,
        overlay: bool = False,
        allow_game_mismatch: bool = False,
        scene_info: bool | str = True,
        device: str | None = None,
    ) -> None:
        """Wrap ``env``.

        Args:
            env: an Atari one with native RGB frames, as ``gym.make("ALE/Pong-v5")`` has them, or any other one with
                ``render_mode="rgb_array"``; what it renders is resized to what the model reads.
            model: name of a bundled model, path of a model folder (of several games, ``env``'s is loaded), or a loaded
                model. ``None``: the bundled model of the game.
            obs_format: ``"objects"``, ``"flat"``, ``"dict"`` or ``"latents"``.
            history: how many steps a row holds, 1 or more.
            overlay: let :meth:`render` draw the boxes and names, on the frame at three times its size. Only
                with ``render_mode="rgb_array"``; another one is left as it is, with a warning.
            allow_game_mismatch: take a model that was trained on another game.
            scene_info: what ``info["scene"]`` holds: lists of centres (True), ``"arrays"``, or nothing (False).
            device: where the model's network runs, such as ``"cuda"``. ``None``: the CPU, or where a loaded one is.

        Raises:
            ValueError: there are no RGB frames, an option has a wrong value, or the model is of other games.
            spacetime_env.shipped.UnknownModelError: there is no such model, or none for this game.
        """
        check_observation(obs_format, history, scene_info, overlay=overlay, allow_game_mismatch=allow_game_mismatch)
        warn_about_overlay(overlay, env.render_mode)
        size = frame_size(env)
        given = os.fspath(model) if isinstance(model, os.PathLike) else model
        gym.utils.RecordConstructorArgs.__init__(
            self,
            _disable_deepcopy=True,  # a loaded model is large
            model=given,
            **{"obs_format": obs_format, "history": int(history), "overlay": overlay},
            **{"allow_game_mismatch": allow_game_mismatch, "scene_info": scene_info, "device": device},
        )
        gym.Wrapper.__init__(self, env)
        game = self._game = game_of(env)
        self._given, self._device = default_model(game) if given is None else given, device
        self.model: ObjectModel = load_for(self._given, game, device)
        require_match(self.model, game, size, allow_game_mismatch)
        warn_about_unseen(self.model, *variant(env))
        self._watcher = Watcher(1)  # remembers nothing before it is asked: many environments share one instead
        self._subframes = keep_subframes(env) if self.model.config.subframes > 1 else None
        self._frames = Rendered(env, self.model.native) if size is None else Observed(self._subframes)
        self._overlay = overlay
        scene = self.model.scene
        self._tracker = Tracker(scene if scene.classes else with_classes(self.model), self.model.native)
        self.slot_names: tuple[str, ...] = self._tracker.slot_names
        self.scene_form = None if scene_info is False else SceneForm(scene_info, self._tracker.counts)
        depth = self.model.config.z_what_dim if obs_format == "latents" else 0
        self._observer = Observer(obs_format, len(self.slot_names), int(history), depth)
        self.feature_names: tuple[str, ...] = self._observer.feature_names
        self.observation_space = self._observer.space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Resets the environment and forgets all objects."""
        frame, info = self.begin(seed, options)
        return self.observe(self._look(frame), info)

    def step(self, action: Any) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Steps the environment and finds the objects of the new frame."""
        frame, reward, terminated, truncated, info = self.advance(action)
        observation, info = self.observe(self._look(frame), info)
        return observation, reward, terminated, truncated, info

    # reset and step are made of these two, so that many environments can have their frames looked at in one call.

    def begin(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        """Reset the environment and forget all objects, but leave the first frame to :meth:`observe`."""
        frame, info = self._reset_game(seed, options)
        self._forget()
        self._frame_number = frame_number(self.env)
        return frame, info

    def advance(self, action: Any) -> tuple[Frame, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment, but leave the new frame to :meth:`observe`.

        Objects are forgotten if somebody restored a state of the emulator since the last step.
        """
        atari = self._frame_number is not None
        if atari and self._was_restored():
            self._forget()
        result = self._play(action)
        told = result[4].get("frame_number") if atari else None  # ALE says it in each info
        self._frame_number = frame_number(self.env) if told is None else told
        return result

    def _play(self, action: Any) -> tuple[Frame, SupportsFloat, bool, bool, dict[str, Any]]:
        frame, reward, terminated, truncated, info = self.env.step(action)
        return self._frames.now(frame), reward, terminated, truncated, info

    def _was_restored(self) -> bool:
        return self._frame_number != frame_number(self.env) or getattr(self.env.unwrapped, "restored", False)

    def _forget(self) -> None:
        self._tracker.reset()
        self._observer.reset()

    def clone_state(self, include_rng: bool = False) -> EpisodeState:
        """The episode as it is now: the game, the tracked objects and the steps before. For planning.

        Wrappers inside or outside of this one keep what they count, such as TimeLimit's steps.

        Args:
            include_rng: the random numbers too, on which sticky actions depend. So the same actions have the same
                results as now.

        Raises:
            gymnasium.error.ResetNeeded: there is no episode yet.
            TypeError: the environment is not ALE's.
        """
        if self._frame_number is None and isinstance(self.env.unwrapped, ale_py.AtariEnv):
            raise gym.error.ResetNeeded("call reset before clone_state.")
        return clone(self.env, self._tracker, self._observer, self.detections, include_rng)

    def restore_state(self, state: EpisodeState) -> None:
        """Go on from a state of :meth:`clone_state`, of this environment or of one with the same game and options.

        Raises:
            TypeError: it is no such state, or the environment is not ALE's.
            ValueError: it is the state of an environment with other options.
        """
        restore(state, self.env, self._tracker, self._observer)
        self.detections = state.detections
        self._frame_number = frame_number(self.env)

    def _reset_game(self, seed: int | None, options: dict[str, Any] | None) -> tuple[Frame, dict[str, Any]]:
        frame, info = self.env.reset(seed=seed, options=options)
        return self._frames.now(frame), info

    def pooled(self, picture: np.ndarray) -> np.ndarray:
        """A rendered picture as the model looks at it: resized, or brighter by the emulator's frame before."""
        return self._frames.fit(picture)

    def _look(self, frame: Frame) -> Detections:
        return self._watcher.detect(self.model, [frame], [0])[0]

    def observe(
        self, detections: Detections, info: dict[str, Any], scene: bool = True
    ) -> tuple[ObsType, dict[str, Any]]:
        """The observation that follows from what was found in the newest frame, and ``info`` with what it adds.

        Args:
            detections: what was found.
            info: gets ``"dropped"``, and ``"scene"`` where that is wanted.
            scene: False leaves the scene to :meth:`add_scene`.
        """
        self.detections = detections
        rows = self._tracker.update(detections)  # (slots, 7)
        info["dropped"] = self._tracker.dropped
        if scene:
            self.add_scene(detections, info)
        return self._observer.observe(rows, self._tracker, detections), info

    def add_scene(self, detections: Detections, info: dict[str, Any]) -> None:
        """Put the scene of what was found into ``info``, unless the environment was made without."""
        if self.scene_form is not None:
            centers = detections.z_where[:, 2:]
            info["scene"] = self.scene_form.scene(detections.class_ids, centers, detections.class_names)

    def render(self) -> Any:
        """The environment's picture; with ``overlay``, three times the model's frame, with boxes and names."""
        picture = self.env.render()
        if not self._overlay or self.detections is None or not isinstance(picture, np.ndarray):
            return picture
        from spacetime_env.objects.drawing import draw

        return draw(picture if isinstance(self._frames, Observed) else self._frames.fit(picture), self.detections)

    def __getstate__(self) -> dict[str, Any]:
        """A copy goes on with the episode as this environment would: ALE's own copies begin anew.

        A model that was given by name is loaded again, not copied: workers get a few bytes.
        """
        state = {**self.__dict__, "_watcher": Watcher(1)}
        if self._frame_number is not None:
            state["_episode"] = self.clone_state(include_rng=True)
        if isinstance(self._given, str):
            del state["model"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        episode = state.pop("_episode", None)
        self.__dict__.update(state)
        if "model" not in state:
            self.model = load_for(self._given, self._game, self._device)
        if episode is not None:
            self.restore_state(episode)
