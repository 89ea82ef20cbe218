"""README.md and docs/*.md say what cards, results and the code say; see benchmarks/documents.py."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import claims, documents, harmless, shapes, sources
from spacetime_env.commands.command_line import shown
from spacetime_env.commands.train_agent import parser
from spacetime_env.config import load_config
from spacetime_env.envs.env import make_env
from spacetime_env.envs.vector import SpaceTimeVectorEnv
from spacetime_env.envs.wrapper import SpaceTimeObservation
from spacetime_env.games import ale_spec

ROOT = Path(__file__).parent.parent
PROSE = [page for page in documents.PAGES if page not in documents.RESULT_PAGES]
TEXTS = {page: documents.read(page) for page in documents.PAGES}


@pytest.mark.parametrize("page", documents.PAGES)
def test_figures_are_those_of_their_sources(page: str) -> None:
    said = documents.problems(page, TEXTS[page])
    assert not said, "\n".join([*said, "python -m benchmarks.documents --write puts them in."])
    assert documents.mended(page, TEXTS[page]) == TEXTS[page]


def changed(shown: str) -> str:
    """Another figure of the same form: three more in the last digit, or another word."""
    if not shown[-1].isdigit():
        return shown + "x"
    return shown[:-1] + str((int(shown[-1]) + 3) % 10)


@pytest.mark.parametrize("page", documents.PAGES)
def test_a_changed_figure_is_noticed_and_mended(page: str) -> None:
    """Each one, one at a time: also each number in a part that is made as a whole."""
    text = TEXTS[page]
    places = [(one.start, one.end) for one in documents.figures(page, text)[0]]
    for start, end, _ in documents.blocks(page, text):
        places += [match.span() for match in re.compile(sources.NUMBER).finditer(text, start, end)]
    assert len(places) >= {"docs/games.md": 150, "docs/variants.md": 30, "docs/model.md": 5}.get(page, 14)
    for start, end in places:
        other = text[:start] + changed(text[start:end]) + text[end:]
        assert documents.problems(page, other), f"{page}: {text[start:end]!r} was changed, and nothing noticed"
        if page in PROSE:
            assert documents.mended(page, other) == text


def test_a_phrase_that_is_gone_is_noticed() -> None:
    text = TEXTS["README.md"].replace("mean return", "average return")
    (said,) = documents.problems("README.md", text)
    assert "'mean return {} ± {} over {} episodes' any more" in said


@pytest.mark.parametrize("page", PROSE)
def test_every_number_has_a_source_or_is_harmless(page: str) -> None:
    text = TEXTS[page]
    covered = [(one.start, one.end) for one in documents.figures(page, text)[0]]
    covered += [(start, end) for start, end, _ in documents.blocks(page, text)]
    left = [f"{page}, line {line}: ...{around}..." for line, around in harmless.unsourced(text, covered)]
    assert not left, "\n".join([
        *left,
        "These numbers are compared with nothing. Add a claim to benchmarks/claims.py that says where each comes from; "
        "or put the passage between <!-- history --> and <!-- /history -->, or into docs/experiments.md; or, if it is "
        "no figure, add its kind to benchmarks/harmless.py with a reason.",
    ])  # fmt: skip


def test_a_number_without_a_source_is_found() -> None:
    text = "F1 is 0.93 here.\n\n<!-- history -->\nIt was 0.91.\n<!-- /history -->\n\n`steps=7` and 2,400 steps."
    assert [line for line, _ in harmless.unsourced(text, [])] == [1, 7]
    assert harmless.unsourced(text, [(6, 10), (text.index("2,400"), text.index("2,400") + 5)]) == []


def test_no_kind_of_harmless_numbers_is_left_over() -> None:
    assert [kind for kind in harmless.HARMLESS if not any(re.search(kind, TEXTS[page]) for page in PROSE)] == []


def test_pages_are_all_compared_or_history() -> None:
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} | {"README.md"}
    history = {"docs/experiments.md", "docs/any-env.md"}
    assert pages - set(documents.PAGES) == history
    assert all("is history" in (ROOT / page).read_text().partition("##")[0] for page in history)


def test_readers_of_cards_and_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"a. Env steps a second, 8 envs, all games": [
        ["game", "raw", "with", "ratio", "without", "ratio"],
        ["Pong", "5000 (1 to 2)", "4000 (1 to 2)", "0.80 (0.70 to 0.90)", "3000 (1 to 2)", "0.60 (0.50 to 0.70)"],
        ["mean of the games' medians", "", "", "0.57", "", "0.47"],
        ["least of the games' medians", "", "", "0.45 (Riverraid)", "", "0.39 (Riverraid)"],
    ]}  # fmt: skip
    monkeypatch.setattr(sources, "tables", lambda: found)
    (line,) = claims.environments()
    assert "8 environments, 1 games" in line
    assert "with numba: mean 0.57, least 0.45 (Riverraid); without: mean 0.47, least 0.39 (Riverraid)" in line
    with pytest.raises(sources.SourceError, match=r"no row '1\$' in a table .*mend benchmarks/claims.py"):
        claims.speed()
    assert sources.number("1,308 (1 to 2)") == 1308


def options(page: str, title: str) -> dict[str, Any]:
    """The options and their defaults in the tables of a section."""
    section = TEXTS[page].partition(f"# {title}\n")[2].partition("\n#")[0]
    found = {}
    for names, default in re.findall(r"(?m)^\| ((?:`\w+`(?:, )?)+) \| `([^`]+)` \|", section):
        found |= dict.fromkeys(re.findall(r"\w+", names), yaml.safe_load(default.replace("None", "null")))
    return found


def test_options_have_the_defaults_that_the_tables_say() -> None:
    told = options("docs/guide.md", "Options of the environments")
    real = {name: one.default for name, one in inspect.signature(make_env).parameters.items()}
    vector = {name: one.default for name, one in inspect.signature(SpaceTimeVectorEnv).parameters.items()}
    game = {"mode": None, "difficulty": None, "render_mode": None, **ale_spec("Pong").kwargs}
    known = {**game, **vector, **real, "autoreset_mode": "NextStep", "num_envs": 1}
    assert vector["autoreset_mode"].value == "NextStep"
    assert told == {name: known[name] for name in told}
    assert set(told) == set(known) - {"game", "kwargs"}
    short = options("README.md", "What you get")
    assert len(short) == 5 and short == {name: told[name] for name in short}
    wrapper = list(inspect.signature(SpaceTimeObservation).parameters)[1:]
    assert list(told)[: len(wrapper)] == wrapper


def test_settings_have_the_defaults_that_the_guide_says() -> None:
    section = TEXTS["docs/guide.md"].partition("### Settings of a training")[2].partition("\n#")[0]
    told = re.findall(r"(?m)^\| `(\w+)\.(\w+)` \| `(\w+)` \|", section)
    assert len(told) == 5
    config = load_config(ROOT / "configs" / "default.yaml", ["game=Pong", "train.threads=2"])
    for part, name, default in told:
        assert str(getattr(getattr(config, part), name)) == default
    assert load_config(ROOT / "configs" / "default.yaml", ["game=Pong"]).train.threads == 1
    assert "data.device" not in section and "`train.device`" in section


def test_what_the_pages_say_of_configs() -> None:
    sizes = {path.stem: load_config(path).data.size for path in (ROOT / "configs").glob("*.yaml")
             if path.stem != "default"}  # fmt: skip
    native = {path.stem for path in (ROOT / "configs").glob("*.yaml") if "base: native.yaml" in path.read_text()}
    more = {"native"} | native - {"freeway"}
    assert {name for name, size in sizes.items() if size == 4096} == more
    assert {2048} < set(sizes.values()) and sum(size == 2048 for size in sizes.values()) > len(sizes) / 3
    default = load_config(ROOT / "configs" / "default.yaml", ["game=Pong"])
    assert (default.data.agent, default.data.eval_agent) == ("sticky-random", "random")
    assert load_config(ROOT / "configs" / "pong.yaml").data.agent == "random"
    rows = {name for name in sources.singles().values() if any(sources.described(name)["model"].get("rows", ()))}
    assert rows == {"pong"} | native


def test_what_the_readme_says_is_not_seen() -> None:
    words = " ".join(TEXTS["README.md"].split())
    assert "River Raid's bridges are not seen at all" in words
    assert sources.of_game("riverraid")["recall of Bridge"] == 0


def test_flags_of_train_agent_are_those_that_the_readme_says() -> None:
    zoo = pytest.importorskip("rl_zoo3")
    theirs = set(re.findall(r'"(--?[\w-]+)"', Path(zoo.__file__).with_name("train.py").read_text()))
    own = {"--agents-folder", "--model-device", "--name", "--final-episodes", "--overwrite", "--trust"}
    ours = {flag for action in parser()._actions for flag in action.option_strings} - {"-h", "--help"}
    assert ours - theirs == own
    text = TEXTS["README.md"]
    told = text.partition("six of its own: ")[2].partition(".")[0]
    assert set(re.findall(r"`(.*?)`", told)) == own
    for action in parser()._actions:
        assert action.dest == "help" or "(default: " in str(action.help), action.dest


def test_slots_and_shapes_are_those_of_the_models() -> None:
    page = shapes.page()
    assert "| Pong | (3, 7) | Player 1, Enemy 1, Ball 1 |" in page and page in TEXTS["docs/games.md"]


def test_a_shown_command_holds_no_path_of_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--out", "/elsewhere/runs/a b", f"data.root={tmp_path}/data", "data.agent=random+/x/agent", "-f", "logs"]
    words += ["env:Catch-v0", "http://a.b/c"]
    assert shown("python", "x.py", words=words) == (
        "python x.py --out 'path/to/a b' data.root=data data.agent=random+path/to/agent -f logs env:Catch-v0 "
        "http://a.b/c"
    )


@pytest.mark.parametrize("path", [*(ROOT / "models").glob("*/CARD.md"), *(ROOT / "agents").glob("*/*.[my][da]*")],
                         ids=lambda path: f"{path.parent.name}/{path.name}")  # fmt: skip
def test_cards_hold_no_path_of_a_machine(path: Path) -> None:
    assert not re.findall(r"(?:^|[\s=:`])/(?:\w+/)+", path.read_text())


@pytest.mark.parametrize("name", [*sources.singles().values(), "joint"])
def test_limits_of_a_card_are_those_of_its_figures(name: str) -> None:
    text = (ROOT / "models" / name / "CARD.md").read_text().partition("## Limits")[2]
    games = sources.joint_games() if name == "joint" else {"": sources.of_game(name)}
    for game, figures in games.items():
        of = f"{game}: " if game else ""
        said = re.search(rf"(?im)^- {of}classes with a recall under 0.5 .* of 0.5: (.*)\.$", text)
        assert said is not None, game
        recalls = {key[10:]: value for key, value in figures.items() if key.startswith("recall of ")}
        missed = {key: f"{value:.3f}" for key, value in recalls.items() if value < 0.5}
        assert dict(re.findall(r"(\w+) \((\d\.\d+)", said[1])) == missed


def test_an_example_may_be_rounded_either_way() -> None:
    assert documents.alike("| Ball | 1.00 | 0.77 |", "| Ball | 1.00 | 0.78 |")
    assert not documents.alike("| Ball | 1.00 | 0.77 |", "| Ball | 1.00 | 0.79 |")
    assert not documents.alike("| Ball | 1.00 |", "| Player | 1.00 |")
