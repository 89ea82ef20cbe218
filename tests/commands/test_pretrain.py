from __future__ import annotations

import pytest

from spacetime_env.commands.pretrain import config_of, main, parser, require_alone
from spacetime_env.config import ConfigError, load_config
from spacetime_env.training.ranks import Ranks


def test_a_game_has_its_own_file():
    path, words = config_of("ms_pacman")
    assert (path.name, words) == ("mspacman.yaml", [])
    assert load_config(path, words).game == "MsPacman"


def test_a_game_without_a_file_takes_the_default():
    path, words = config_of("ALE/Zaxxon-v5")
    assert path.name == "default.yaml"
    assert load_config(path, words) == load_config(path, ["game=Zaxxon"])


def test_an_unknown_game_is_an_error_in_a_sentence(capsys):
    assert main(["--game", "Pog"]) == 1
    assert "Did you mean Pong?" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["--game", "Pong", "--config", "configs/pong.yaml"]])
def test_a_game_or_a_file_and_not_both(argv, capsys):
    with pytest.raises(SystemExit):
        main(argv)
    assert "--game" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--sweep", "seed=0,1"], ["--import-upstream", "a.pth"]])
def test_what_is_not_for_several_processes(words):
    options = parser().parse_args(["--game", "Pong", *words])
    require_alone(options, Ranks())
    with pytest.raises(ConfigError, match=f"{words[0]}.* without torchrun"):
        require_alone(options, Ranks(rank=1, size=2))
