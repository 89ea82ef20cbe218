"""``python -m benchmarks.endurance``: play for a long time, and kill what writes files; print a table of each.

Exit status: 0 where nothing differed, memory stayed within 2 % and every kill was survived; else 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import Table, machine
from benchmarks.endurance import jobs
from benchmarks.endurance.kills import Job, Killing, finish, kill_again_and_again
from benchmarks.endurance.soak import Soak, soak
from spacetime_env.games import canonical, is_game
from spacetime_env.models.folder import available_models, model_games

PARTS = ("soak", "record", "pretrain", "train")
FLAT = 0.02  # how far memory may go from where it was after the warm-up


def arguments() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance", description=__doc__, allow_abbrev=False)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; none: all")
    parser.add_argument("--steps", type=int, default=2_000_000, help="env steps of the soak (default: %(default)s)")
    parser.add_argument("--games", nargs="+", help="of the soak (default: those with a model of their own)")
    parser.add_argument("--envs", type=int, default=4, help="in a vector env of the soak (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=50, help="of each job (default: %(default)s)")
    parser.add_argument("--a-round", type=int, default=5, help="kills of a run (default: %(default)s)")
    parser.add_argument("--least", type=float, default=60, help="seconds of an undisturbed run (default: %(default)s)")
    parser.add_argument("--record-size", type=int, default=4500, help="stacks (default: %(default)s)")
    parser.add_argument("--pretrain-steps", type=int, default=1200, help="(default: %(default)s)")
    parser.add_argument("--pretrain-size", type=int, default=64, help="stacks to train on (default: %(default)s)")
    parser.add_argument("--train-steps", type=int, default=100_000, help="env steps (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--home", type=Path, help="a folder for all files, which then stay")
    parser.add_argument("--out", type=Path, help="a file for the report; it is printed in any case")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for."""
    parser = arguments()
    asked = parser.parse_args(words)
    if unknown := sorted(set(asked.parts) - set(PARTS)):
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}.")
    with tempfile.TemporaryDirectory(prefix="endurance-") as folder:
        home = (asked.home or Path(folder)).resolve()
        home.mkdir(parents=True, exist_ok=True)
        soaks, killings = list[Soak](), list[Killing]()
        for part in asked.parts or PARTS:
            if part == "soak":
                soaks = soak_all(asked.games or games(), asked.steps, asked.envs, asked.seed)
            else:
                job, own = job_of(part, asked, home), home / part
                killings.append(kill_again_and_again(job, own, asked.kills, asked.a_round, asked.seed, asked.least))
    text = report(soaks, killings)
    print(text)
    if asked.out is not None:
        asked.out.write_text(text, encoding="utf-8")
    return int(any(wrong(one) for one in soaks) or any(one.faults for one in killings))


def games() -> list[str]:
    """The games with a model of their own."""
    return [known[0] for name in available_models() if len(known := model_games(name)) == 1 and is_game(known[0])]


def soak_all(names: Sequence[str], steps: int, envs: int, seed: int) -> list[Soak]:
    """Each game in turn, in this process: what one leaves behind burdens the next."""
    found = []
    for name in names:
        game = canonical(name)
        found.append(soak(game, game.lower(), steps // len(names), envs, seed))
        print(f"{game}: {found[-1].steps} env steps, {found[-1].unequal} unequal", flush=True)
    return found


def wrong(one: Soak) -> bool:
    """Whether something differed, or memory grew."""
    return one.unequal > 0 or one.growth > FLAT


def job_of(part: str, asked: argparse.Namespace, home: Path) -> Job:
    """The job of a part; data to pretrain on are recorded now."""
    if part == "record":
        return jobs.record(asked.record_size)
    if part == "train":
        return jobs.train(asked.train_steps)
    data = home / "data"
    finish(jobs.pretrain(1, data, asked.pretrain_size), home / "data-run")
    return jobs.pretrain(asked.pretrain_steps, data, asked.pretrain_size)


def report(soaks: Sequence[Soak], killings: Sequence[Killing]) -> str:
    """The tables."""
    parts = [machine(), ""]
    if soaks:
        note = "Env steps of the vector env and of the single ones together. Memory in MiB after the warm-up, of this "
        note += "process and of the workers: first, last, most."
        head = ["game", "env steps", "episodes", "unequal", "rounded", "process", "workers", "growth", "minutes"]
        parts.append(Table("Soak", head, [soak_row(one) for one in soaks], note).text())
    if killings:
        head = ["job", "undisturbed s", "kills", "while writing", "of the main process alone", "runs", "faults"]
        parts.append(Table("Kill -9", head, [kill_row(one) for one in killings]).text())
        parts += [f"- {one.job}: {fault}" for one in killings for fault in one.faults]
    return "\n".join(parts) + "\n"


def soak_row(one: Soak) -> list[str]:
    """A line of the table."""
    memory = [f"{m[0]:.0f}, {m[-1]:.0f}, {max(m):.0f}" if m else "-" for m in (one.memory, one.workers)]
    counts = [str(one.episodes), str(one.unequal), str(one.rounded)]
    return [one.game, f"{one.steps:,}", *counts, *memory, f"{one.growth:.1%}", f"{one.seconds / 60:.1f}"]


def kill_row(one: Killing) -> list[str]:
    """A line of the table."""
    counts = (one.kills, one.writing, one.alone, one.rounds, len(one.faults))
    return [one.job, f"{one.reference:.0f}", *map(str, counts)]


if __name__ == "__main__":
    sys.exit(main())
