"""What the pages say and where it comes from. Selectors of RESULTS.md stand here, and nowhere else.

A claim is a phrase of a page with ``{}`` in place of each figure, and a function that gives the figures. Line breaks of
the page do not matter. A value that is a number is compared with as many digits as the page shows.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks import sources
from benchmarks.sources import agent, number, of_game, row, rows
from spacetime_env.games import ale_spec

Value = float | str

# Titles of tables in RESULTS.md, as patterns.
ALL_GAMES = r"a\. Env steps a second, .*all games"
ONE_GAME = r"a\. Env steps a second, {game}$"
SEEING = r"b\. Seeing with the shipped model pong$"
STEP = r"c\. A training step at the published size"
PPO = r"d\. PPO on Pong"
CURVE = r"e\. From nothing to F1 on Pong"
F1 = "F1 at IoU 0.5"
RAW = "ALE's `AtariVectorEnv` with pixels"


@dataclass(frozen=True)
class Claim:
    """A phrase of a page, and the values of the figures in it."""

    page: str
    phrase: str
    values: Callable[[], Sequence[Value]]


def best_and_worst(games: dict[str, dict[str, float]]) -> list[Value]:
    """Highest F1 and its game, lowest F1 and its game, mean."""
    f1 = {game: values[F1] for game, values in games.items()}
    best, worst = max(f1, key=lambda game: f1[game]), min(f1, key=lambda game: f1[game])
    return [f1[best], best, f1[worst], worst, float(np.mean(list(f1.values())))]


def of_singles() -> list[Value]:
    """How many models of one game there are, and how good they are."""
    found = sources.singles()
    return [len(found), *best_and_worst({game: of_game(model) for game, model in found.items()})]


def of_joint() -> list[Value]:
    """How many games the joint model has, and how good it is in them."""
    known = sources.joint_games()
    *extremes, mean = best_and_worst(known)
    return [len(sources.described("joint")["games"]), *extremes, len(known), mean]


def of_rooms(model: str) -> list[Value]:
    """Minutes that a model of rooms was trained for; its F1; the part of the pixels that its objects cover, in %."""
    minutes = float(sources.described(model)["trained"]["seconds_training"]) / 60
    return [minutes, of_game(model)[F1], 100 * sources.layers(model)["pixels that objects cover (alpha over 0.5)"]]


def trainings() -> list[Value]:
    """Millions of steps of the trainings that the agent's weights come from."""
    trained = agent()["trained"]
    return [one["timesteps"] / 1e6 for one in [*trained["earlier"], {"timesteps": trained["best_timesteps"]}]]


def returns() -> list[Value]:
    """Mean, standard deviation and number of the agent's final episodes."""
    return [agent()["evaluation"][key] for key in ("mean", "std", "episodes")]


def joint_minutes() -> list[Value]:
    """Minutes that the joint model took, data included."""
    trained = sources.described("joint")["trained"]
    return [(float(trained["seconds_data"]) + float(trained["seconds_training"])) / 60]


def joint_beside_singles() -> list[Value]:
    """Mean F1 of the joint model, and of the models of one game, in the games that have both."""
    joint, single = sources.joint_games(), sources.singles()
    both = sorted(set(joint) & set(single))
    return [float(np.mean([joint[game][F1] for game in both])), float(np.mean([of_game(single[g])[F1] for g in both]))]


def shared_background() -> list[Value]:
    """How much faster a training step is with one background for each stack, and its memory."""
    found = row(STEP, r"ours.* a stack, bfloat16")
    return [number(found[-3]), number(found[-1])]


@functools.cache
def parameters(config: str = "") -> float:
    """Millions of parameters of the published network, or of a config's."""
    from spacetime_env.config import ModelConfig, load_config
    from spacetime_env.space import Space

    chosen = load_config(sources.ROOT / "configs" / config).model if config else ModelConfig()
    return sum(one.numel() for one in Space(chosen).parameters()) / 1e6


def emulator() -> dict[str, float]:
    """The defaults of ``ALE/Pong-v5``."""
    kwargs = ale_spec("Pong").kwargs
    frames, skip = kwargs["max_num_frames_per_episode"], kwargs["frameskip"]
    sticky = kwargs["repeat_action_probability"]
    return {"skip": skip, "sticky": sticky, "frames": frames, "steps": frames / skip}


def stages() -> list[Value]:
    """The settings of the rare stage of ``motion.rarity``."""
    from spacetime_env.config import RarityConfig

    default = RarityConfig()
    return [100 * default.share, 100 * default.steady, default.window]


def constants() -> dict[str, float]:
    """Numbers of the code that the pages name."""
    from spacetime_env.config import RarityConfig
    from spacetime_env.data.players import HELD, HOLD
    from spacetime_env.evaluation.kalman import SHOTS
    from spacetime_env.space.sparse import MAX_CHANGED
    from spacetime_env.training.splits import FLICKER

    found = {"gap": RarityConfig().gap, "kalman": SHOTS, "hold": HOLD, "flicker": 100 * FLICKER}
    return {**found, "least": HELD[0], "most": HELD[1], "limit": 100 * MAX_CHANGED}


def held() -> list[float]:
    """Fewest and most steps for which the policy ``held`` holds an action."""
    return [constants()["least"], constants()["most"]]


CLAIMS = (
    Claim("README.md", "SPACE-Time models of {} games", lambda: of_singles()[:1]),
    Claim("README.md", "on unseen frames: {} ({}) to {} ({}), mean {}: [all games]", lambda: of_singles()[1:]),
    Claim("README.md", "one model of {} games: Asterix", lambda: of_joint()[:1]),
    Claim("README.md", "the same: {} ({}) to {} ({}), mean of {} games {};", lambda: of_joint()[1:]),
    Claim("README.md", "without labels, on one core in {} minutes", lambda: of_rooms("room-large")[:1]),
    Claim("README.md", "few large objects, on one core in {} minutes", lambda: of_rooms("room-small")[:1]),
    Claim("README.md", "on unseen ones: {}; objects cover {} % of the pixels", lambda: of_rooms("room-small")[1:]),
    Claim("README.md", "on unseen pictures: {}; objects cover {} % of the pixels", lambda: of_rooms("room-large")[1:]),
    Claim("README.md", "{} million, {} million and {} million steps", trainings),
    Claim("README.md", "mean return {} ± {} over {} episodes", returns),
    Claim("README.md", "frame skip {}, sticky actions with probability {}", lambda: list(emulator().values())[:2]),
    Claim("docs/guide.md", "The shipped one took {} minutes", joint_minutes),
    Claim("docs/guide.md", "its mean F1 is {}; theirs is {}, on the same frames", joint_beside_singles),
    Claim("docs/guide.md", "less than {} % of the set's frames, and was not there for {} % of the {} steps", stages),
    Claim("docs/guide.md", "Parts up to {} pixels apart", lambda: [constants()["gap"]]),
    Claim("docs/guide.md", "takes 2 where that is more than {} %", lambda: [constants()["flicker"]]),
    Claim("docs/guide.md", "an action is held for {} steps on average", lambda: [constants()["hold"]]),
    Claim("docs/guide.md", "an action is held for {} to {} steps, half", held),
    Claim("docs/guide.md", "a forest on {} samples per class", lambda: [constants()["kalman"]]),
    Claim("docs/guide.md", "A step plays {} frames of the emulator", lambda: [emulator()["skip"]]),
    Claim("docs/guide.md", "ignores the new action with probability {},", lambda: [emulator()["sticky"]]),
    Claim("docs/guide.md", "After {} frames, which are {} steps", lambda: list(emulator().values())[2:]),
    Claim("docs/model.md", "the published network ({} million parameters)", lambda: [parameters()]),
    Claim("docs/model.md", "is a small one ({} million)", lambda: [parameters("pong.yaml")]),
    Claim("docs/model.md", "then {} times as fast as the published code's, which draws all cells, and takes {} of its",
          shared_background),
    Claim("docs/model.md", "Where over {} % of the cells changed", lambda: [constants()["limit"]]),
)  # fmt: skip


def speed() -> str:
    """The table of speeds in README, made of RESULTS.md."""
    alone, together = row(SEEING, "1$"), row(SEEING, "32$")
    seconds = [number(one[2]) for one in rows(CURVE)]
    f1 = [number(one[3]) for one in rows(CURVE)]
    ppo = row(PPO, r"objects.*train_agent")
    alike = next((f"; with the pixel agent's settings {number(one[-1]):.1f} times" for one in rows(PPO)
                  if re.match(r"objects, .*as pixels", one[0])), "")  # fmt: skip
    cores, numba = sources.measured("d")
    lines = [
        f"| on {cores} cores, no GPU; medians | |",
        "|---|---|",
        f"| `detect` of Pong, one core, one frame in a call | {micros(alone)} |",
        f"| the same, 32 frames in a call | {micros(together)} for each frame |",
        *environments(),
        f"| PPO on Pong, learning included, settings of `train_agent.py`; {numba} | {number(ppo[-2]):.0f} env steps/s, "
        f"{number(ppo[-1]):.1f} times the pixel agent's{alike} |",
        f"| from nothing to a model of Pong, {len(seconds)} seeds | {min(seconds):.0f} to {max(seconds):.0f} seconds; "
        f"F1 on test frames {min(f1):.3f} to {max(f1):.3f} |",
    ]
    return "\n".join(lines)


def micros(found: Sequence[str]) -> str:
    """Time for a frame, without numba and with it."""
    return f"{number(found[1]):.0f} µs without numba, {number(found[3]):.0f} µs with it"


def environments() -> list[str]:
    """The rows on ``make_vec``: over all games where that was measured, else over numbers of environments."""
    if games := rows(ALL_GAMES):
        mean, least = row(ALL_GAMES, "mean"), row(ALL_GAMES, "least")
        count = len(games) - 2
        title = f"| `make_vec`, 8 environments, {count} games: env steps/s divided by those of {RAW} |"
        forms = {"with numba": 3, "without": 5}
        said = [f"{form}: mean {mean[i]}, least {least[i]}" for form, i in forms.items() if re.match(r"[\d.]", mean[i])]
        return [f"{title} {'; '.join(said)} |"]
    lines = []
    for game in ("Pong", "SpaceInvaders"):
        ours = [one for one in rows(ONE_GAME.format(game=game)) if re.match(r"ours, .*\d+ envs?$", one[0])]
        low, high = sources.extremes([number(one[2]) for one in ours])
        at = next(one for one in ours if one[0].endswith(" 8 envs"))
        lines.append(
            f"| `make_vec`, {game}, with numba: env steps/s, and divided by those of {RAW} | {number(at[1]):.0f} and "
            f"{number(at[2]):.2f} with 8 environments; {low:.2f} to {high:.2f} with 1 to 64 |"
        )
    return lines


def example() -> str:
    """An observation of Pong with its labels, after 100 random steps."""
    import gymnasium as gym

    import spacetime_env  # noqa: F401  (registers the environments)

    env = gym.make("SpaceTime/Pong-v5")
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    for _ in range(100):
        observation = env.step(env.action_space.sample())[0]
    names, features = env.get_wrapper_attr("slot_names"), env.get_wrapper_attr("feature_names")
    env.close()
    head = [f"| slot | {' | '.join(features)} |", "|" + "---|" * (1 + len(features))]
    values = [" | ".join(f"{value + 0.0:.2f}" for value in line) for line in observation]
    return "\n".join([*head, *(f"| {name} | {line} |" for name, line in zip(names, values, strict=True))])


ROUNDED = ("example",)  # of these a number that is half between two may be rounded either way: CPUs differ
BLOCKS: dict[tuple[str, str], Callable[[], str]] = {
    ("README.md", "example"): example,
    ("README.md", "speed"): speed,
}
