from __future__ import annotations

import ale_py
import gymnasium as gym
import pytest

from spacetime_env.games import UnknownGameError, ale_spec, canonical, frame_size, games


def test_games_are_those_that_ale_registers() -> None:
    gym.register_envs(ale_py)
    assert {f"ALE/{game}-v5" for game in games()} == {name for name in gym.registry if name.startswith("ALE/")}
    assert {"Pong", "SpaceInvaders", "Qbert"} < set(games())
    assert list(games()) == sorted(games())


@pytest.mark.parametrize(
    ("name", "game"),
    [
        ("Pong", "Pong"),
        ("pong", "Pong"),
        ("ALE/Pong-v5", "Pong"),
        ("SpaceTime/Pong-v5", "Pong"),
        ("SpaceTime/Pong-flat-v5", "Pong"),
        ("PongNoFrameskip-v4", "Pong"),
        ("space_invaders", "SpaceInvaders"),
        ("space-invaders", "SpaceInvaders"),
        ("SPACEINVADERS", "SpaceInvaders"),
        ("MsPacman-v5", "MsPacman"),
        ("videocube", "VideoCube"),
    ],
)
def test_canonical(name: str, game: str) -> None:
    assert canonical(name) == game


@pytest.mark.parametrize("game", games())
def test_canonical_knows_every_name_of_every_game(game: str) -> None:
    rom = gym.spec(f"ALE/{game}-v5").kwargs["game"]
    assert canonical(game) == canonical(rom) == canonical(f"ALE/{game}-v5") == game


def test_unknown_game_names_the_nearest() -> None:
    with pytest.raises(UnknownGameError, match=r"no game 'Pnog'.*Did you mean.*Pong"):
        canonical("Pnog")


@pytest.mark.parametrize("name", ["", "zzzzzzzz", None, 5])
def test_unknown_game_without_a_neighbour(name: object) -> None:
    with pytest.raises(UnknownGameError, match=r"spacetime_env\.games\(\)"):
        canonical(name)  # type: ignore[arg-type]


def test_a_long_name_is_cut() -> None:
    for name in ("x" * 10**6, "pongg" + " " * 10**6):
        with pytest.raises(UnknownGameError) as caught:
            canonical(name)
        assert len(str(caught.value)) < 300


def test_ale_spec() -> None:
    spec = ale_spec("space_invaders")
    assert (spec.id, spec.kwargs["game"]) == ("ALE/SpaceInvaders-v5", "space_invaders")
    spec.kwargs["mode"] = 3  # a copy: Gymnasium's registry stays as it is
    assert "mode" not in gym.spec("ALE/SpaceInvaders-v5").kwargs


@pytest.mark.parametrize(("game", "size"), [("Pong", (210, 160)), ("AirRaid", (250, 160)), ("carnival", (214, 160))])
def test_frame_size_is_height_then_width(game: str, size: tuple[int, int]) -> None:
    assert frame_size(game) == size
