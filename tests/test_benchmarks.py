"""The benchmarks' arithmetic and their file; their timings are no tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as main
from benchmarks import (
    cards,
    common,
    compiled,
    envs,
    mends,
    players,
    ppo,
    published,
    seeing,
    sheets,
    sources,
    steady,
    step_cost,
    training,
    variants,
    vision,
)
from spacetime_env.compiled import INSTALLED
from spacetime_env.config import Config
from spacetime_env.data.players import Player
from spacetime_env.data.split import open_split
from spacetime_env.evaluation.drawn import drawn_tests
from spacetime_env.evaluation.run_model import predict_tests
from spacetime_env.models.folder import load_model
from spacetime_env.objects.detections import Detections, from_boxes
from spacetime_env.training.sweep_plan import plan

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


def test_a_section_takes_its_place_and_leaves_the_others(tmp_path: Path) -> None:
    to, table = tmp_path / "RESULTS.md", common.Table("t", ["x", "y"], [("1", "2")])
    main.write("c", main.section("c", [table], 60, "python -m benchmarks c", "a machine"), to)
    main.write("a", "## a. environments\n\nold", to)
    main.write("a", "## a. environments\n\nnew", to)
    text = to.read_text()
    assert "1 min: `python -m benchmarks c`\n\na machine\n" in text
    assert text.index("## a. environments\n\nnew") < text.index("## c. training")
    assert "| x | y |\n|---|---|\n| 1 | 2 |" in text and "old" not in text and text.count("# Benchmarks") == 1


def test_unknown_tables_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["z"])
    assert ended.value.code == 2 and "no table z; there are a, b, c, d, e" in capsys.readouterr().err


def test_a_command_is_recorded_without_paths() -> None:
    words = ["a", "b", "--ocatari", "/venvs/oc/bin/python", "--published=/x", "--repeats", "3", "--out", "/r.md"]
    shown = "python -m benchmarks a b --ocatari PYTHON --published=CHECKOUT --repeats 3 --out FILE"
    assert main.portable(words) == shown


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with two committed files."""
    (tmp_path / "benchmarks").mkdir()
    for name in ("code.py", "benchmarks/RESULTS.md"):
        (tmp_path / name).write_text("old\n")
    who = ["-c", "user.name=x", "-c", "user.email=x@y"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "m"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_what_is_not_committed(checkout: Path) -> None:
    (checkout / "untracked.py").write_text("x\n")
    (checkout / "benchmarks" / "RESULTS.md").write_text("new\n")  # the benchmarks write it themselves
    assert common.uncommitted(checkout) == []
    (checkout / "code.py").write_text("new\n")
    assert common.uncommitted(checkout) == ["code.py"]
    assert len(common.commit(checkout)) == 12 and int(common.commit(checkout), 16) > 0


def test_an_uncommitted_tree_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "uncommitted", lambda: ["code.py"])
    monkeypatch.setattr(common, "uncommitted", lambda: ["code.py"])
    monkeypatch.setattr(main, "measure", lambda letter, asked: [common.Table("t", ["x"], [("1",)])])
    words = ["d", "--out", str(tmp_path / "out.md")]
    with pytest.raises(SystemExit) as ended:
        main.main(words)
    assert ended.value.code == 2 and "Uncommitted changes in code.py: commit them" in capsys.readouterr().err
    assert main.main([*words, "--dirty"]) == 0
    assert "with uncommitted changes in code.py." in (tmp_path / "out.md").read_text()


def test_a_tree_that_changed_during_the_run_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = iter(["one", "two"])
    monkeypatch.setattr(main, "uncommitted", lambda: [])
    monkeypatch.setattr(main, "commit", lambda: next(commits))
    monkeypatch.setattr(main, "measure", lambda letter, asked: [])
    assert main.main(["d", "--out", str(tmp_path / "out.md")]) == 2
    assert not (tmp_path / "out.md").exists()


def test_a_machine_says_whether_numba_is_on() -> None:
    before = "numba not installed" if not INSTALLED else "in use; torch has"
    assert before in common.machine()
    with compiled.without_numba():
        assert "in use; torch has" not in common.machine().replace("not in use", "off")


def test_all_frames_in_chunks() -> None:
    assert list(seeing.chunks(list(range(5)), 2)) == [[0, 1], [2, 3], [4]]
    assert [len(one) for one in seeing.chunks(list(range(64)), 64)] == [64]


def test_steps_of_a_turn() -> None:
    assert [players.steps_each(1600, count) for count in (1, 8, 16, 64)] == [1600, 200, 100, 100]
    assert players.steps_each(40, 64) == 2 and players.steps_each(1, 8) == 1


class Counting:
    """An environment that ends after every third step, and says what was done with it."""

    class action_space:
        n = 6

    def __init__(self) -> None:
        self.actions: list[int] = []
        self.resets = 0

    def reset(self, seed: int | None = None) -> None:
        self.resets += 1

    def step(self, action: int) -> tuple[int, float, bool, bool, dict]:
        self.actions.append(action)
        return 0, 0.0, len(self.actions) % 3 == 0, False, {}


def test_a_player_plays_on_and_two_get_the_same_actions() -> None:
    one, other = Counting(), Counting()
    for env in (one, other):
        player = players.Player(env, total=10, warm=4)
        assert len(env.actions) == 4
        assert player() > 0 and len(env.actions) == 14
        assert player() > 0 and len(env.actions) == 24
        assert env.resets == 1 + 24 // 3  # at the ends of episodes only
    assert one.actions == other.actions and len(set(one.actions)) > 1


def test_games_have_a_mean_and_a_least_row() -> None:
    rates = {
        "Pong": {"raw": [100.0, 200.0, 100.0], "with": [50.0, 100.0, 80.0], "without": [40.0, 40.0, 40.0]},
        "Tennis": {"raw": [100.0], "with": [30.0], "without": [20.0]},
    }
    *games, mean, least = envs.across_rows(rates)
    assert games[0][0] == "Pong" and games[0][3] == "0.50 (0.50 to 0.80)" and games[0][5] == "0.40 (0.20 to 0.40)"
    assert mean[3::2] == ["0.40", "0.30"] and least[3::2] == ["0.30 (Tennis)", "0.20 (Tennis)"]
    without = envs.across_rows({"Pong": {"raw": [10.0], "without": [5.0]}})
    assert without[0][2:4] == ["not measured"] * 2 and without[1][3] == "not measured" and without[1][5] == "0.50"
    assert {len(row) for row in (*games, mean, least, *without)} == {6}


def test_the_games_of_table_a() -> None:
    assert len(envs.shipped_games()) == 14 and {"Pong", "SpaceInvaders"} < set(envs.shipped_games())


def test_every_module_that_calls_the_loops_is_switched() -> None:
    package = ROOT / "spacetime_env"
    users = {path for path in package.rglob("*.py") if "import INSTALLED" in path.read_text()}
    assert users == {Path(str(module.__file__)) for module in compiled.MODULES}


@pytest.mark.skipif(not INSTALLED, reason="numba is not installed")
def test_without_numba_in_this_process_and_in_workers() -> None:
    env, other = (envs.ours("Pong", 3, numba) for numba in (True, False))
    assert compiled.in_use()
    compiled.require(env, True)
    with pytest.raises(RuntimeError):
        compiled.require(env, False)
    with pytest.raises(RuntimeError):  # its workers are without, this process is not
        compiled.require(other, True)
    with compiled.without_numba():
        assert not compiled.in_use() and all(module.loops is None for module in compiled.MODULES)
        compiled.require(other, False)
        with pytest.raises(RuntimeError):  # its workers and its trackers have numba
            compiled.require(env, False)
    assert all(module.loops is not None for module in compiled.MODULES)
    env.close()
    other.close()


def test_the_base_of_ppo_is_the_faster_pixel_agent() -> None:
    class Settings:
        def settings(self) -> list[str]:
            return ["s"]

    found = {"objects, x": [40.0, 60.0], "pixels, A": [5.0, 5.0], "pixels, B": [10.0, 10.0]}
    rows = ppo.rows(dict.fromkeys(found, Settings()), found)
    assert [row[-1] for row in rows] == ["5.0 (4.0 to 6.0)", "0.5 (0.5 to 0.5)", "1"]
    assert rows[0][:2] == ["objects, x", "s"]


def test_a_row_that_is_not_measured_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeing, "in_turns", lambda contenders, repeats: {name: [0.01] for name in contenders})
    table = seeing.published_size(1, None)
    assert table.rows[0][0].startswith("ours, 5 of 256") and table.rows[1][0].startswith("ours, 256 of 256")
    assert table.rows[2][0].startswith("published code") and table.rows[2][1:] == ("not measured",) * 2
    cost = training.Cost([1.0], [2.0], "3")
    monkeypatch.setattr(training, "measure", lambda sizes, repeats: dict.fromkeys(sizes, cost))
    table = training.against_published(1, None)
    assert table.rows[-1] == (training.THEIRS, *["not measured"] * 5) and "no `--published`" in table.note


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


def test_a_training_row_is_measured_in_a_process() -> None:
    words = [sys.executable, "-m", "benchmarks.training", json.dumps({"stacks": 1, "grid": 8, "objects": 2})]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    cost, memory, cells = json.loads(done.stdout.splitlines()[-1])
    assert 0 < cost < 10 and memory >= 0 and cells == 2


def test_the_first_measurement_of_a_training_row_warms_up(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([f"banner\n[{cost}, {cost + 10}, 3.0]" for cost in (9, 1, 2)])
    monkeypatch.setattr(
        training.subprocess, "run", lambda words, **kw: subprocess.CompletedProcess(words, 0, next(said))
    )
    assert training.measure({"row": {}}, 2) == {"row": training.Cost([1, 2], [11, 12], "3")}


def test_a_training_row_of_the_published_size(capsys: pytest.CaptureFixture[str]) -> None:
    training.main(json.dumps({"size": "published", "fixed": True}))
    cost, memory, cells = json.loads(capsys.readouterr().out)
    assert 0 < cost < 10 and memory >= 0 and cells == 3


def test_as_many_objects_as_are_asked_for() -> None:
    step, frames = training.step_of_ours(stacks=2, objects=5)
    assert frames == 8
    assert step() == 5


def test_names_of_roms() -> None:
    assert envs.snake("SpaceInvaders") == "space_invaders" and envs.snake("Pong") == "pong"
    assert seeing.played("Pong", 3).shape == (3, 210, 160, 3)


def test_a_card_gets_other_scores() -> None:
    card = "# Pong\n\nMade by x\n\n## Figures\nold\n\n### test-random\n| F1 | 0.1 |\n\n## Limits\nsmall\n"
    text = cards.with_scores(card, ["", "## Figures", "of what moves", "", "### test-random", "| F1 | 0.2 |"])
    assert text.startswith("# Pong\n\nMade by x\n\n## Figures\nMeasured again on 20")
    assert "commit" in text and "old" not in text and "0.1" not in text
    assert text.endswith("of what moves\n\n### test-random\n| F1 | 0.2 |\n\n## Limits\nsmall\n")
    with pytest.raises(SystemExit, match="one is missing"):
        cards.with_scores("# Pong\n## Limits\n", [])


def test_step_cost_compares_pairs_and_swaps_cores(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[tuple[tuple[str, ...], bool]] = []

    def measure(told: Sequence[str], swapped: bool) -> tuple[float, float]:
        asked.append((tuple(told), swapped))
        return 100.0, {0: 90.0, 1: 150.0, 2: 104.0}[len(asked) % 3]

    table, worst = step_cost.compare(measure, ["Pong"], ["vector"], ["with numba"], 3)
    assert asked == [(("Pong", "vector", "with numba", "900"), swapped) for swapped in (False, True, False)]
    assert worst == pytest.approx(1.04)
    row = ["Pong", "vector", "with numba", "100 (100 to 100)", "104 (90 to 150)", "1.040 (0.900 to 1.500)"]
    assert table.rows == [row]
    assert " | ".join(row) in capsys.readouterr().out


@pytest.mark.parametrize("mend", mends.mends(), ids=lambda mend: mend.fault.replace(" ", "-"))
def test_each_mend_is_still_in_the_code(mend: mends.Mend) -> None:
    code = (ROOT / "spacetime_env" / mend.file).read_text(encoding="utf-8")
    broken = mend.broken(code)
    compile(broken, mend.file, "exec")
    assert broken != code and all((ROOT / word).exists() for word in mend.tests.split() if word.startswith("tests/"))


def test_a_mend_that_was_rewritten_is_named() -> None:
    mend = mends.Mend("a fault", "games.py", "nobody wrote this", "", "tests")
    with pytest.raises(ValueError, match=r"a fault: games\.py has the passage 0 times, expected once"):
        mend.broken("other code")


def test_a_tile_shows_both_boxes() -> None:
    """Boxes of 4 x 6 and 5 x 6 pixels, 8 times enlarged; what is outside of the picture is grey."""
    picture = np.full((30, 40, 3), 9, np.uint8)
    out = sheets.tile(picture, (2, 10, 6, 16), (1, 10, 6, 16), "0 Car")
    assert out.shape == (sheets.SIDE + 14, sheets.SIDE + 4, 3)
    inner = out[12 : 12 + 23 * 8, 2 : 2 + 23 * 8]
    assert (inner == sheets.YELLOW).all(axis=2).any() and (inner == sheets.GREEN).all(axis=2).any()
    assert (inner == sheets.GREY).all(axis=2).any() and (inner == 9).all(axis=2).any()
    alone = sheets.tile(picture, (2, 10, 6, 16), None, "0 Car none")
    assert not (alone[12:] == sheets.YELLOW).all(axis=2).any()


def test_steady_rows_of_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both policies are counted, on sequences that are asked for in a folder of their own."""
    split, asked = open_split(ROOT / "data" / "Pong" / "test-random"), []

    def prepared(config: Config, which: str, policy: Player) -> object:
        data = config.data
        asked.append((data.root, data.order, data.eval_size, which, policy.name, config.model.subframes))
        return split

    monkeypatch.setattr(steady, "prepare_split", prepared)
    model, config = load_model("pong"), sources.trained_with("pong")
    one = steady.measure(model, config)
    root = str(Path("data", "sequences"))
    assert asked == [(root, "sequential", 256, "test", name, 1) for name in ("random", "held")]
    # A stack of four frames is a run: of each object that is there all the time, two steps count.
    assert 2 * 2 * len(split) < one.steps <= 2 * 2 * 3 * len(split) and one.switches == one.flips == 0
    assert one.per_1000("gaps") < 5 and one.per_1000("ghosts") < 5
    rows = steady.table([("Pong", one), ("Boxing", one._replace(gaps=one.steps))]).rows
    assert rows[0][:2] == ["Pong", str(one.steps)] and rows[1][2] == "1000.0" and rows[2][0] == "**mean**"


def test_ocatari_beside_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the rules find is judged by the names of what moves; the score that they find too does not count."""
    split = open_split(ROOT / "data" / "Pong" / "test-random")
    (drawn,) = drawn_tests([split])
    assert drawn is not None

    def found(game: str, test: object, python: str) -> tuple[list[object], np.ndarray]:
        assert (game, python) == ("Pong", "python")
        every = []
        for one in drawn:
            score = np.array([[60.0, 2, 12, 20]], np.float32)
            boxes = np.concatenate([one.truth.boxes, score])
            plain = from_boxes(boxes, split.native)
            known = (*sorted(set(one.truth.names)), "PlayerScore")
            ids = np.array([known.index(name) for name in (*one.truth.names, "PlayerScore")], np.int64)
            every.append(Detections(plain.boxes, plain.z_where, ids, plain.confidence, plain.z_what, known))
        return every, np.full(len(every), 0.002)

    monkeypatch.setattr(vision, "run_ocatari", found)
    monkeypatch.setattr(vision, "seconds_of", lambda model, split: 0.0005)
    model = load_model("pong")
    (predictions,) = predict_tests(model, [split])
    row = vision.compare(model, [split], predictions, "python")
    assert (row.theirs.f1, row.theirs.f1_75, row.theirs.center_f1) == (1, 1, 1) and row.ours.f1 > 0.98
    table = vision.table([row, row]).rows
    assert table[0][0] == "Pong" and table[0][4:] == ["0.50", "1.000", "1.000", "1.000", "2.00"]
    assert table[2][0] == "**mean**" and table[2][5] == "**1.000**"
