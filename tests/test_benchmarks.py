"""The benchmarks' arithmetic and their file; their timings are no tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as main
from benchmarks import common, envs, published, seeing, training

ROOT = Path(__file__).parent.parent


def test_medians_spreads_and_ratios() -> None:
    assert common.spread([3.0, 1.0, 8.0]) == "3 (1 to 8)"
    assert common.ratios([2.0, 9.0, 8.0], [4.0, 3.0, 8.0], ".1f") == "1.0 (0.5 to 3.0)"


def test_contenders_take_turns() -> None:
    calls: list[str] = []

    def contender(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    found = common.in_turns({n: (lambda n=n: contender(n)) for n in "xy"}, 2, say=lambda text: None)
    assert calls == ["x", "y"] * 3  # the first turn warms up
    assert found == {"x": [3.0, 5.0], "y": [4.0, 6.0]}


def test_a_section_takes_its_place_and_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "RESULTS", tmp_path / "RESULTS.md")
    table = common.Table("t", ["x", "y"], [("1", "2")])
    main.write("c", main.section("c", [table], 60))
    main.write("a", "## a. environments\n\nold")
    main.write("a", "## a. environments\n\nnew")
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.index("## a. environments\n\nnew") < text.index("## c. training")
    assert "| x | y |\n|---|---|\n| 1 | 2 |" in text and "old" not in text and text.count("# Benchmarks") == 1


def test_unknown_tables_are_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "no table z; there are a, b, c, d, e" in done.stderr


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="is no checkout"):
        published.load(tmp_path)


@pytest.mark.parametrize("asked", [{"stacks": 1, "grid": 8, "objects": 2}, {"size": "published", "fixed": True}])
def test_a_training_row_is_measured_in_a_process(asked: dict) -> None:
    words = [sys.executable, "-m", "benchmarks.training", json.dumps(asked)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    cost, memory = json.loads(done.stdout.splitlines()[-1])
    assert 0 < cost < 10 and memory >= 0


def test_as_many_objects_as_are_asked_for() -> None:
    step, frames = training.step_of_ours(stacks=2, objects=5)
    assert frames == 8
    _, output = step()
    assert len(output.foreground.latents.cell) == 8 * 5


def test_names_of_roms() -> None:
    assert envs.snake("SpaceInvaders") == "space_invaders" and envs.snake("Pong") == "pong"
    assert seeing.played("Pong", 3).shape == (3, 210, 160, 3)
