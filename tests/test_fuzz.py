"""The fuzzer notices what it is for; and a few seconds of it find nothing."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks.fuzz import __main__ as fuzz
from benchmarks.fuzz import judge
from benchmarks.fuzz.kinds import KINDS, Kind
from benchmarks.fuzz.runner import Outcome, make_case
from benchmarks.fuzz.seeds import config_folders
from benchmarks.fuzz.trees import mutate_tree, places, to_yaml
from benchmarks.fuzz.values import CANARY, OUTSIDE, Raw, aliases, nearby
from benchmarks.fuzz.zips import ZEROS, Swollen, entries_of, mutate_zip, zip_of

ROOT = Path(__file__).parents[1]

# Faults on purpose, a kind each: run in a process of its own, since the watch and the limits stay for its life.
PLANTED = """
import importlib, json, os, pickle, signal, socket, sys, time
from pathlib import Path
import numpy as np
from benchmarks.fuzz import judge, runner
from benchmarks.fuzz.kinds import Kind
from benchmarks.fuzz.raw import evil_pickle
from spacetime_env import frames, shipped

judge.SECONDS, judge.BUSY, runner.GRACE, runner.BATCH = 1.0, 2, 1.0, 3

def deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    time.sleep(60)

def forgiving():
    try:
        np.ones(2**40)
    except MemoryError:
        shipped.find("models", "nosuch")  # a refusal, after the fact

def name(text):
    return lambda: importlib.import_module(text)

def connect():
    with socket.socket() as one:
        one.settimeout(1)
        one.connect(("127.0.0.1", 9))

def long():
    raise ValueError("x" * 5000)
long.__code__ = long.__code__.replace(co_filename=shipped.__file__)  # as if the package had raised it

PLANTS = {
    "ok": lambda: None,
    "refused": lambda: shipped.find("models", "nosuch"),
    "refused by a ValueError": lambda: frames.require_frames(3),
    "foreign: a call in the package fails": lambda: frames.boxes_to_z_where("x", (1, 1)),
    "foreign: not raised by the package": lambda: int("x"),
    "foreign: a message of 5,000 letters": long,
    "hang": lambda: time.sleep(60),
    "hang in computing": lambda: [None for _ in iter(int, 1)],
    "hang that hears no alarm": deaf,
    "memory": lambda: np.ones(2**40),
    "memory, held": lambda: [np.empty(2**30, np.uint8) for _ in range(9)],
    "memory, then a refusal": forgiving,
    "code: the canary": name("canary_payload"),
    "code: a program": lambda: os.system("true"),
    "code: a pickle": lambda: pickle.loads(evil_pickle()),
    "code: a file outside": lambda: open("../" + "outside.txt"),
    "code: a write outside": lambda: open(sys.argv[1] + "/file", "w"),
    "code: a folder outside": lambda: os.mkdir(sys.argv[1] + "/folder"),
    "code: a connection": connect,
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
}

def seeds(folder):
    folder.mkdir(parents=True)
    (folder / "file").write_text("x")
    return [(folder, [])]

class Planted(Kind):
    def prepare(self, folder):
        self.valid = [({"file": b"x"}, [])]

kinds = {}
for key, plant in PLANTS.items():
    kinds[key] = Planted(key, seeds, lambda rng, made: None, lambda path, words, plant=plant: plant())
heard = {}
def hear(outcome):
    heard.setdefault(outcome.kind, []).append(outcome.verdict.verdict)
runner.run(kinds, [(key, number) for key in kinds for number in (0,)], 0, 2, 200, hear)
print(json.dumps(heard))
"""


def in_a_process(code: str, *words: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=280, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


def test_each_planted_fault_is_seen(tmp_path: Path) -> None:
    heard = json.loads(in_a_process(PLANTED, str(tmp_path)))
    assert len(heard) == 20
    assert {name: verdicts for name, verdicts in heard.items() if verdicts != [name.split()[0].strip(":,")]} == {}


def test_an_error_is_ours_where_a_raise_statement_of_ours_raised_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "PACKAGE", str(Path(__file__).parent) + os.sep)

    def caught(text: str) -> BaseException:
        try:
            if text == "told":
                raise ValueError("expected a number, got x.")
            int(text)
        except ValueError as error:
            return error
        raise AssertionError

    assert judge.verdict_of(caught("told"), (ValueError,)) == "refused"
    assert judge.verdict_of(caught("told"), ()) == "foreign"  # a class that nobody documents
    assert judge.verdict_of(caught("x"), (ValueError,)) == "foreign"
    assert judge.line_of(caught("x")).startswith("test_fuzz.py:")


def test_a_case_follows_from_its_number_and_the_seed(tmp_path: Path) -> None:
    kind = Kind("configs", config_folders, KINDS["configs"].spoil, lambda path, words: None)
    kind.prepare(tmp_path / "valid")

    def made(number: int, seed: int, folder: str) -> tuple[list[str], list[str], dict[str, bytes]]:
        case = make_case(kind, number, seed, tmp_path / folder)
        files = {
            path.name: path.read_bytes() for path in (tmp_path / folder / "input").glob("c*.yaml") if path.is_file()
        }
        return case.words, case.notes, files

    assert made(3, 0, "a") == made(3, 0, "b")
    assert made(3, 0, "c") != made(4, 0, "d")
    assert made(3, 0, "e") != made(3, 1, "f")
    assert (tmp_path / "a" / OUTSIDE).is_file()


def test_a_tree_is_changed_in_one_place() -> None:
    tree = {"a": 1, "b": {"c": [1, 2], "d": "x"}}
    assert places(tree) == [("a",), ("b",), ("b", "c"), ("b", "c", 0), ("b", "c", 1), ("b", "d")]
    rng = np.random.default_rng(0)
    found = [mutate_tree(rng, tree, lambda r, there: 9) for _ in range(300)]
    assert ({"a": 9, "b": tree["b"]}, "a = 9") in found
    assert ({"a": 1, "b": {"c": [1, 9], "d": "x"}}, "b.c.1 = 9") in found
    assert ({"b": tree["b"]}, "a left out") in found
    assert tree == {"a": 1, "b": {"c": [1, 2], "d": "x"}}


def test_raw_text_stands_in_yaml_as_it_is() -> None:
    text = to_yaml({"a": Raw("!!bool foo"), "b": [Raw("0x"), 1]})
    assert text == "a: !!bool foo\nb:\n- 0x\n- 1\n"
    meant = yaml.safe_load(to_yaml({"a": Raw(aliases(3))}))["a"][-1]
    assert len(meant) == 9
    assert len(meant[0][0]) == 9
    assert meant[0][0][0] == "x"


def test_a_zip_is_right_unless_it_lies() -> None:
    entries: dict[str, bytes | Swollen] = {"a": b"hello", "b/c": b"", "é": b"x" * 999}
    assert entries_of(zip_of(entries)) == entries
    with (
        zipfile.ZipFile(io.BytesIO(zip_of(entries, {"crc": 7}))) as archive,
        pytest.raises(zipfile.BadZipFile, match="CRC"),
    ):
        archive.read("a")
    with zipfile.ZipFile(io.BytesIO(zip_of(entries, {"size": 1}))) as archive:
        assert archive.getinfo("a").file_size == 1


def test_a_bomb_says_its_size_and_unpacks_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = zip_of({"a": b"hello", "b": Swollen(b"start")})
    assert len(blob) < 4_000_000
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        assert archive.getinfo("b").file_size == 5 + ZEROS == 5 + 3 * 2**30
        with archive.open("b") as file:
            assert file.read(10) == b"start\0\0\0\0\0"
            assert not any(file.read(2**20))
    from benchmarks.fuzz import zips

    monkeypatch.setattr(zips, "ZEROS", 2**24)  # small enough to be read to its end, where the checksum is compared
    zips.deflated_zeros.cache_clear()
    with zipfile.ZipFile(io.BytesIO(zip_of({"b": Swollen(b"start")}))) as archive:
        assert archive.read("b") == b"start" + bytes(2**24)
        assert zlib.crc32(b"start" + bytes(2**24)) == archive.getinfo("b").CRC
    zips.deflated_zeros.cache_clear()


def test_most_changes_to_a_zip_leave_a_zip() -> None:
    rng, blob = np.random.default_rng(0), zip_of({"a": b"hello", "b": b"x" * 99})
    changed = [mutate_zip(rng, blob)[0] for _ in range(60)]
    assert sum(zipfile.is_zipfile(io.BytesIO(one)) for one in changed) > 50
    assert changed.count(blob) < 6  # exchanged with itself, or renamed to its own name


def test_the_report_names_the_simplest_case_of_each_fault() -> None:
    bad = judge.Verdict("foreign", "KeyError: 'x'", "models/settings.py:1 read")
    outcomes = [
        Outcome("models", 4, bad, ["one", "two"], True),
        Outcome("models", 7, bad, ["one"], True),
        Outcome("models", 8, judge.Verdict("ok"), ["none"], True),
        Outcome("splits", 1, judge.Verdict("refused", "DatasetError: no"), ["none"], False),
    ]
    text = fuzz.report({name: KINDS[name] for name in ("models", "splits")}, outcomes, 0, 60.0)
    assert "| models | 3 | 100% | 1 | 0 | 2 | 0 |" in text
    assert "| splits | 1 | 0% | 0 | 1 | 0 | 0 |" in text
    assert "**models: foreign**, 2 times: KeyError at models/settings.py:1 read" in text
    assert "--replay models:7: one" in text
    assert fuzz.bad(outcomes) == 2


def test_the_canary_is_no_module_of_anybody() -> None:
    with pytest.raises(ImportError):
        __import__(CANARY)


def test_a_few_seconds_find_nothing() -> None:
    command = [sys.executable, "-m", "benchmarks.fuzz", "--seconds", "3", "--jobs", "2", "--seed", "1"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=280, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    found = re.search(r"\| all \| (\d+) \|", done.stdout)
    assert found is not None and int(found[1]) >= 10


def test_values_near_a_number_that_no_float_holds() -> None:
    assert nearby(4) == (5, 3, 8, -4, 2.0, 4000, 4.0, "4")
    assert nearby(10**400) == (10**400 + 1, 10**400 - 1, 2 * 10**400, -(10**400), 10**403)
