"""The tables of a sweep, from made-up metrics with means that are easy to compute."""

from __future__ import annotations

import csv
import io

import pytest

from spacetime_env.training.sweep_table import Row, as_csv, as_markdown, mean, metrics_of, splits_of, title


def row(seed: int, variant: str, f1: float, state: str = "done", **more: float) -> Row:
    numbers = {"detection.frames": 12, "detection.ap": 0.5, "few_shot.16.mean": 0.25, "few_shot.16.std": 0.125}
    numbers |= {"few_shot.4.mean": 0.125, "detection.f1": f1, **more}
    found = {"test-random": numbers, "all test splits": {"detection.f1": f1}} if state == "done" else {}
    return Row({"seed": str(seed), "variant": variant}, state, 10.0 * (seed + 1), found)


ROWS = [row(0, "space", 0.5), row(1, "space", 0.7), row(0, "a|b", 0.25, target_f1=0.75), row(1, "a|b", 0, "failed")]


def test_markdown_has_means_over_the_seeds() -> None:
    text = as_markdown("pong", ROWS)
    lines = text.splitlines()
    assert lines[0] == "# pong: 3 of 4 runs" and "Not in it: seed=1 variant=a|b (failed)." in lines
    at = lines.index("## test-random")
    assert lines.index("## all test splits") < at
    assert lines[at + 2 :] == [
        "| variant | n | F1 at IoU 0.5 | target F1 | 4-shot accuracy | 16-shot accuracy | ap | wall time, s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        # of 0.5 and 0.7: 0.6, and the root of (0.01 + 0.01) / 1; of 10 s and 20 s: 15, and the root of 50
        "| space | 2 | 0.6000 ± 0.1414 | - | 0.1250 ± 0.0000 | 0.2500 ± 0.0000 | 0.5000 ± 0.0000 | 15 ± 7 |",
        "| a\\|b | 1 | 0.2500 | 0.7500 | 0.1250 | 0.2500 | 0.5000 | 10 |",
    ]


def test_markdown_while_nothing_is_done_and_where_no_test_split_is() -> None:
    assert as_markdown("pong", [row(0, "space", 0, "not done")]).endswith(
        "Not in it: seed=0 variant=space (not done).\n"
    )
    bare = as_markdown("pong", [Row({"seed": "0"}, "done", 1.0, {})])
    assert "no test split with ground truth" in bare
    assert "| n | F1 at IoU 0.5 |" in as_markdown(
        "pong", [Row({"seed": "0"}, "done", 1.0, {"t": {"detection.f1": 1.0}})]
    )


def test_csv_has_all_metrics_of_all_runs() -> None:
    table = list(csv.DictReader(io.StringIO(as_csv(ROWS))))
    assert [one["state"] for one in table] == ["done", "done", "done", "failed"]
    assert [one["test-random: detection.f1"] for one in table] == ["0.5", "0.7", "0.25", ""]
    assert [one["test-random: target_f1"] for one in table] == ["", "", "0.75", ""]
    assert table[1] | {"seed": "1", "variant": "space", "wall_seconds": "20.0"} == table[1]
    assert table[0]["test-random: detection.frames"] == "12" and table[0]["test-random: few_shot.16.std"] == "0.125"


def test_main_metrics_come_first_and_have_the_titles_of_the_cards() -> None:
    numbers = dict.fromkeys(
        [
            *("detection.ap_50", "evaluation.ari", "evaluation.ami", "few_shot.16.mean", "few_shot.4.mean"),
            *("detection.name_accuracy", "target_f1"),
        ],
        0.5,
    )
    rows = [Row({}, "done", 1, {"test-b": numbers | {"detection.center_f1": 1.0, "detection.f1": 1.0}, "test-a": {}})]
    assert splits_of(rows) == ["test-a", "test-b"]
    assert [title(metric) for metric in metrics_of(rows, "test-b")] == [
        "F1 at IoU 0.5",
        "F1 by centre distance",
        "target F1",
        "4-shot accuracy",
        "16-shot accuracy",
        "AMI of k-means",
        "name accuracy",
        "ap 50",
        "ari",
    ]


@pytest.mark.parametrize(
    ("values", "text"),
    [([0.5], "0.50"), ([1.0, 3.0], "2.00 ± 1.41"), ([None, 1.0], "1.00 (n = 1)"), ([None], "-"), ([], "-")],
)
def test_mean(values: list[float | None], text: str) -> None:
    assert mean(values, 2) == text


def test_the_mean_over_games_comes_before_each_of_them() -> None:
    names = ["Pong/test-random", "test-random", "mean over games", "Boxing/test-random"]
    found = splits_of([Row({}, "done", 1.0, {name: {"f1": 0.5} for name in names})])
    assert found == ["mean over games", "test-random", "Boxing/test-random", "Pong/test-random"]
