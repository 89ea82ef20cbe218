"""``model.yaml``, the settings in a model folder: those of a model of one game, or of a joint model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from spacetime_env.config import ConfigError, ModelConfig, SceneConfig, from_dict
from spacetime_env.config.tree import in_range, require_plain
from spacetime_env.files import FileError, read_yaml, shown_names
from spacetime_env.games import canonical, is_game
from spacetime_env.shipped import BundleError

SETTINGS = "model.yaml"


class SeveralGamesError(BundleError):
    """The model knows several games, and none of them was asked for."""


@dataclass(frozen=True)
class Settings:
    """The settings of a model of one game."""

    game: str
    native: tuple[int, int] = field(metadata=in_range(1, 2048))  # H, W of the frames it was trained on
    class_names: tuple[str, ...]
    model: ModelConfig
    scene: SceneConfig
    sha256: str  # of model.safetensors
    version: str  # of spacetime_env
    trained: dict[str, str] = field(default_factory=dict)  # seed, steps, commit ... for the reader
    mode: int | None = None  # of the game in the training data; None: its default
    difficulty: int | None = None  # likewise

    @property
    def names(self) -> tuple[str, ...]:
        """The games that the model knows."""
        return (self.game,)

    def of(self, game: str | None, folder: str) -> Settings:
        """These settings, if ``game`` is None or the model's game. ``folder`` is for the error.

        Raises:
            BundleError: another game is asked for.
            UnknownGameError: no such game.
        """
        own = canonical(self.game) if is_game(self.game) else self.game
        if game not in (None, own) and canonical(str(game)) != own:
            raise BundleError(f"the model {folder!r} is of {self.game}, and {canonical(game)} is asked for.")
        return self


@dataclass(frozen=True)
class GameSettings:
    """The settings of one game of a joint model."""

    native: tuple[int, int] = field(metadata=in_range(1, 2048))  # H, W of its frames
    class_names: tuple[str, ...]
    subframes: int = field(metadata=in_range(0, 2))  # 1 or 2; see ModelConfig
    scene: SceneConfig
    mode: int | None = None  # see Settings
    difficulty: int | None = None


@dataclass(frozen=True)
class JointSettings:
    """The settings of a joint model."""

    games: Mapping[str, GameSettings]
    model: ModelConfig  # its subframes are not used: each game has its own
    sha256: str  # of model.safetensors
    version: str  # of spacetime_env
    trained: dict[str, str] = field(default_factory=dict)  # seed, steps, commit ... for the reader

    @property
    def names(self) -> tuple[str, ...]:
        """The games that the model knows."""
        return tuple(self.games)

    def of(self, game: str | None, folder: str) -> Settings:
        """The settings of one of the games, as a model of this game alone has them. ``folder`` is for the error.

        Raises:
            SeveralGamesError: ``game`` is None, and there are several games.
            BundleError: the model does not know that game.
            UnknownGameError: no such game.
        """
        known = shown_names(self.games)
        if game is None and len(self.games) != 1:
            raise SeveralGamesError(
                f"the model {folder!r} is of several games ({known}): say which, such as "
                f"load_model({folder!r}, game={next(iter(self.games), '')!r}), or --game on a command line."
            )
        name = canonical(game) if game is not None else next(iter(self.games))
        if name not in self.games:
            raise BundleError(f"the model {folder!r} does not know {name}; it knows {known}.")
        one = self.games[name]
        return Settings(
            game=name,
            native=one.native,
            class_names=one.class_names,
            model=replace(self.model, subframes=one.subframes),
            scene=one.scene,
            sha256=self.sha256,
            version=self.version,
            trained=self.trained,
            mode=one.mode,
            difficulty=one.difficulty,
        )


def read_settings(folder: Path) -> Settings | JointSettings:
    """Read ``model.yaml``.

    Raises:
        BundleError: it is missing, not YAML, has unknown or missing keys, or a value out of its range.
    """
    path = folder / SETTINGS
    try:
        tree = read_yaml(path)
        several = isinstance(tree, Mapping) and "games" in tree
        found = from_dict(JointSettings, tree, str(path)) if several else from_dict(Settings, tree, str(path))
        if not found.names:
            raise ConfigError(f"{path}: games: expected one or more, got none.")
        for game in found.names:  # it becomes a folder, and an environment's id
            require_plain(game, f"{path}: game")
        return found
    except FileNotFoundError:
        raise BundleError(f"{folder} is no model folder: it has no {SETTINGS}.") from None
    except FileError as error:
        raise BundleError(f"{error} Make or download the model again.") from None
    except ConfigError as error:
        raise BundleError(f"{error} The file is damaged, or of another version of spacetime_env.") from None
