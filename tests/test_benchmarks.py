"""The benchmarks' arithmetic and their file; their timings are no tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as main
from benchmarks import cards, common, envs, published, seeing, training, variants
from spacetime_env.sweep_plan import plan

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


def run(variant: str, seed: int, f1: float, switches: float, few: str = "") -> dict[str, str]:
    figures = {"detection.f1": f1, "detection.center_f1": 0.5, "evaluation.identity_switches": switches}
    cells = {f"test-random: {name}": str(value) for name, value in figures.items()}
    cells["test-random: few_shot.4.mean"] = few
    return {"seed": str(seed), "variant": variant, "state": "done", "wall_seconds": "90.0", **cells}


def test_variants_are_compared_seed_by_seed() -> None:
    space, motion, both = variants.VARIANTS
    runs = [run(space, 0, 0.1, 0.0), run(space, 1, 0.2, 0.0)]
    runs += [run(motion, 0, 0.6, 8.0, "0.25"), run(motion, 1, 0.7, 12.0, "0.75")]
    runs += [run(both, 0, 0.61, 5.0, "0.5"), run(both, 1, 0.68, 9.0, "1.0")]
    text = variants.page({"pong": runs})
    assert f"| pong | {space} | 0.150 ± 0.071 | 0.500 ± 0.000 | - | - | - | 0 ± 0 |" in text
    assert f"| pong | {motion} | 0.650 ± 0.071 | 0.500 ± 0.000 | 0.500 ± 0.354 | - | - | 10 ± 3 |" in text
    # From space to motion F1 gains 0.5 with either seed; 4-shot cannot be compared, since space has none.
    assert "| pong | + motion | **+0.500 ± 0.000** | +0.000 ± 0.000 | - | - | - | +10 ± 3 |" in text
    # With continuity +0.01 and -0.02, which is nothing clear; -3 switches with either are.
    assert "| pong | + continuity | -0.005 ± 0.021 | +0.000 ± 0.000 | **+0.250 ± 0.000** | - | - | **-3 ± 0** |" in text
    unclear = "centre no clear difference: pong; identity switches no clear difference: pong."
    assert f"- **motion**: F1 better: pong; {unclear}" in text
    assert "- **continuity**: 4-shot better: pong; F1 no clear difference: pong; centre no clear" in text
    assert "identity switches better: pong." in text


def test_the_sweep_of_a_game_can_be_read_back() -> None:
    words = variants.sweep("asterix", 20, [0, 1], Path("runs/x/asterix"), "data")
    split = words.index("--sweep")
    config, fixed = ROOT / "configs" / "asterix.yaml", words[3 : words.index("--run")]
    found = plan(config, fixed, words[split + 1 :], "runs/x/asterix")
    assert len(found.runs) == 6 and {run.settings["variant"] for run in found.runs} == set(variants.VARIANTS)
    assert {run.config.train.steps for run in found.runs} == {20}


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


def test_a_card_gets_other_figures() -> None:
    card = "# Pong\n\nMade by x\n\n## Figures\nold\n\n### test-random\n| F1 | 0.1 |\n\n## Limits\nsmall\n"
    text = cards.with_figures(card, ["", "## Figures", "of what moves", "", "### test-random", "| F1 | 0.2 |"])
    assert text.startswith("# Pong\n\nMade by x\n\n## Figures\nMeasured again on 20")
    assert "commit" in text and "old" not in text and "0.1" not in text
    assert text.endswith("of what moves\n\n### test-random\n| F1 | 0.2 |\n\n## Limits\nsmall\n")
    with pytest.raises(SystemExit, match="one is missing"):
        cards.with_figures("# Pong\n## Limits\n", [])
