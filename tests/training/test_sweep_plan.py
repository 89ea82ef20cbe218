"""What --sweep asks for: values, names, folders, and every mistake before anything is run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from spacetime_env.config import ConfigError, MotionConfig, to_dict
from spacetime_env.training.sweep_plan import Sweep, folder_name, plan, short_names, split_values
from tests.helpers.tiny import CONFIG


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(to_dict(CONFIG)))
    return path


def titles(sweep: Sweep) -> list[str]:
    return [run.title for run in sweep.runs]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0,1,2", ["0", "1", "2"]),
        ("5", ["5"]),
        ("[1,4],[16]", ["[1,4]", "[16]"]),
        ("[[1,2],[3]], []", ["[[1,2],[3]]", "[]"]),
        ("{kind: fixed, components: 2},{kind: components}", ["{kind: fixed, components: 2}", "{kind: components}"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ("[']',1],it's,b", ["[']',1]", "it's", "b"]),
        ("", [""]),
        ("a=b,c", ["a=b", "c"]),
    ],
)
def test_values_are_split_outside_of_brackets(text: str, values: list[str]) -> None:
    assert split_values(f"key={text}") == values


@pytest.mark.parametrize("text", ["[1,2", "1]", "a,{b", "'a,b", "1],[2", "][,1"])
def test_brackets_that_do_not_match(text: str) -> None:
    with pytest.raises(ConfigError, match=r"brackets or quotes do not match in .key="):
        split_values(f"key={text}")


def test_every_combination_the_first_key_fastest(config: Path) -> None:
    words = ["seed=0,1,2", "train.few_shot=[1],[1,4]", "train.steps=3", "model.variant=space,space+motion"]
    sweep = plan(config, ["train.batch_size=1"], words)
    assert sweep.folder == Path("runs/sweep/pong") and len(sweep.runs) == 12
    assert titles(sweep)[:4] == [
        "seed=0 few_shot=[1] variant=space",
        "seed=1 few_shot=[1] variant=space",
        "seed=2 few_shot=[1] variant=space",
        "seed=0 few_shot=[1,4] variant=space",
    ]
    last = sweep.runs[-1]
    assert (last.config.seed, last.config.train.few_shot, last.config.model.variant) == (2, (1, 4), "space+motion")
    assert {(run.config.train.steps, run.config.train.batch_size) for run in sweep.runs} == {(3, 1)}
    assert re.fullmatch(r"seed=2,few_shot=-1-4--[0-9a-f]{8},variant=space", sweep.runs[5].folder.name)
    assert len({run.folder for run in sweep.runs}) == 12


def test_folder_of_the_sweep(config: Path, tmp_path: Path) -> None:
    assert plan(config, ["name=mine"], ["seed=0,1"]).folder == Path("runs/sweep/mine")
    sweep = plan(config, [], ["seed=0,1"], tmp_path / "here")
    assert sweep.runs[1].folder == tmp_path / "here" / "seed=1"
    assert sweep.runs[1].model == tmp_path / "here" / "seed=1" / "model"


def test_names() -> None:
    assert short_names(["seed", "model.variant", "data.seed"]) == {
        "seed": "seed",
        "model.variant": "variant",
        "data.seed": "data.seed",
    }
    assert short_names(["model.glimpse.size", "data.size"]) == {k: k for k in ("model.glimpse.size", "data.size")}
    assert folder_name({"seed": "2", "variant": "space+motion"}) == "seed=2,variant=space+motion"
    agents = [folder_name({"agent": value}) for value in ("agents/a", "agents-a", "agents a", "../../a")]
    assert len(set(agents)) == 4 and all("/" not in name for name in agents)
    long = [folder_name({"layers": "[" + "1," * 200 + end}) for end in ("1]", "2]")]
    assert long[0] != long[1] and len(long[0]) < 100


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed"], "expected key=v1,v2, such as seed=0,1,2, and got 'seed'"),
        (["=1,2"], "expected key=v1,v2.*got '=1,2'"),
        (["seed=0"], "nothing to vary in 'seed=0'"),
        (["seed=0,,1"], "a value on each side of a comma in 'seed=0,,1'"),
        (["seed=0,"], "a value on each side of a comma"),
        (["seed=0,0"], "seed=0 and seed=0 are the same run"),
        (["train.learning_rate=1e-3,0.001"], "learning_rate=1e-3 and learning_rate=0.001 are the same run"),
        (["seed=0,1", "seed=2,3"], "seed is given twice"),
        (["seed=0,1", "seed=2"], "'seed=2' is for all runs, and --sweep varies it"),
        (["seed=0,1", "train.stepz=1"], "unknown key 'stepz'. Did you mean 'steps'"),
        (["seed=0,1", "model.varint=a,b"], "seed=0 varint=a: .*unknown key 'varint'. Did you mean 'variant'"),
        (["seed=0,x"], "seed=x: .*seed: expected int, got 'x'"),
        (["model.variant=space,spaec"], "variant=spaec: .*expected one of 'space'"),
        (["game=Pong,Pongg"], "game=Pongg: no game 'Pongg'.*Did you mean Pong"),
        (["train.steps=1,0"], "steps=0: train.steps: expected 1 or more"),
        (["data.agent=random,random+"], "agent=random+: data.agent: expected the name of a policy"),
        (["data.eval_agent=random,nobody"], "eval_agent=nobody: data.eval_agent: no agent 'nobody'"),
        (["model.grid=4,5"], "grid=5: .*but model.grid is 5"),
        (["model.frame_size=[38,32],[38"], "do not match"),
    ],
)
def test_mistakes_in_any_combination(words: list[str], message: str, config: Path) -> None:
    with pytest.raises(ConfigError, match=message.replace("+", r"\+")):
        plan(config, [], words)


def test_data_of_different_settings_lie_apart(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    shared = plan(config, [], ["seed=0,1", "data.agent=random,sticky-random"], folder)
    assert {run.config.data.root for run in shared.runs} == {"data"}  # the folder's name tells the policies apart
    apart = plan(config, [], ["data.size=6,9", "data.agent=random,sticky-random"], folder)
    assert [run.config.data.root for run in apart.runs] == [str(folder / "data" / f"size={n}") for n in (6, 9, 6, 9)]
    assert {run.source for run in apart.runs} == {"data"}
    trails = plan(config, ["motion.trail=5"], ["motion.extent=set,trail"], folder)
    assert [Path(run.config.data.root).name for run in trails.runs] == ["trail=none", "trail=mode-5"]
    assert trails.runs[1].config == replace(
        CONFIG,
        motion=MotionConfig(components="color", closing=1, extent="trail", trail=5),
        data=replace(CONFIG.data, root=str(folder / "data" / "trail=mode-5")),
    )
    own = plan(config, [], ["data.size=6,9", "data.root=a,b"], folder)
    assert [run.config.data.root for run in own.runs] == ["a", "a", "b", "b"]
