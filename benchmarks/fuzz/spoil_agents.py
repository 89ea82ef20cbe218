"""How agents, their trainings and their hyperparameters are broken. See :mod:`benchmarks.fuzz.spoil`."""

from __future__ import annotations

import json
from typing import Any

import yaml

from benchmarks.fuzz.blobs import mutate_npz
from benchmarks.fuzz.spoil import Spoiled, in_torch, in_yaml, often, sha256, unaware
from benchmarks.fuzz.trees import brief, mutate_text, mutate_tree, to_json
from benchmarks.fuzz.values import RAWS, TEXTS, Rng, value
from benchmarks.fuzz.zips import entries_of, mutate_zip, zip_of


def hyperparameters(rng: Rng, made: Spoiled) -> None:
    """A hyperparameter file, and ``name:value`` of a command line."""
    name, draw = f"{made.words[0]}.yml", rng.random()
    tree = yaml.safe_load(made.files[name])
    if draw < 0.15:
        made.change(name, lambda data: mutate_text(rng, data.decode()))
        made.aware = False
    elif draw < 0.65:
        more = (
            "vf_coef",
            "max_grad_norm",
            "target_kl",
            "normalize",
            "use_sde",
            "tau",
            "buffer_size",
            "train_freq",
            "env_kwargs",
        )
        if rng.random() < 0.5:
            key = more[rng.integers(len(more))]
            tree["default"][key] = value(rng, 1.5)
            made.notes.append(f"{name}: {key} = {brief(tree['default'][key])}")
        in_yaml(rng, made, name, tree, often(rng))
    if draw >= 0.65 or rng.random() < 0.2:
        keys = (
            *tree["default"],
            "vf_coef",
            "normalize",
            "gae_lambda",
            "nosuch",
            "",
            "policy_kwargs",
            "env_kwargs",
            "seed",
        )
        for _ in range(often(rng)):
            new = value(rng, 3)
            text = new.text if new in RAWS else str(new)
            made.words.append(f"{keys[rng.integers(len(keys))]}:{text}")
        made.notes += [f"word {brief(word)}" for word in made.words[1:]]


def an_agent(rng: Rng, made: Spoiled) -> None:
    """An agent folder."""
    if rng.random() < 0.2:
        unaware(rng, made)
        return
    tree = yaml.safe_load(made.files["agent.yaml"])
    in_zip = rng.random() < 0.45
    if in_zip:
        made.change("policy.zip", lambda data: in_policy(rng, data))
    tree["policy_sha256"] = sha256(made.files["policy.zip"])
    if not in_zip and rng.random() < 0.3:
        path = ("hyperparameters.policy", "env", "hyperparameters.policy_kwargs", "env_kwargs.model")[rng.integers(4)]
        *above, key = path.split(".")
        at = tree[above[0]] if above else tree
        at[key] = TEXTS[rng.integers(len(TEXTS))]
        made.notes.append(f"agent.yaml: {path} = {brief(at[key])}")
    in_yaml(rng, made, "agent.yaml", tree, often(rng) if not in_zip else int(rng.random() < 0.15))


def a_run(rng: Rng, made: Spoiled) -> None:
    """The folder of an agent's training: run.yaml and the checkpoint."""
    draw = rng.random()
    if draw < 0.2:
        unaware(rng, made)
    elif draw < 0.8:
        made.change("last.zip", lambda data: in_policy(rng, data))
    else:
        in_yaml(rng, made, "run.yaml", yaml.safe_load(made.files["run.yaml"]), often(rng))


def in_policy(rng: Rng, data: bytes) -> tuple[bytes, str]:
    """A checkpoint of an agent with one change."""
    entries = entries_of(data)
    draw = rng.random()
    if draw < 0.3:
        return mutate_zip(rng, data)
    if draw < 0.65:
        content = entries["spacetime.json"]
        assert isinstance(content, bytes)
        state = json.loads(content)
        if rng.random() < 0.15:
            key = ("policy", "predict", "__class__", "_n_updates", "num_timesteps", "env", "device")[rng.integers(7)]
            state["counters"][key] = new = value(rng, 3, raws=False)
            said = f"counters.{key} = {brief(new)}"
        else:
            top = rng.random() < 0.7  # else a number among the hundreds of a random state

            def only(at: tuple[Any, ...]) -> bool:
                return at[0] != "random" or len(at) < 3 or not top

            state, said = mutate_tree(rng, state, lambda r, there: value(r, there, raws=False), only)
        entries["spacetime.json"] = to_json(rng, state)
        return zip_of(entries), f"spacetime.json: {said}"
    if draw < 0.8 and (arrays := [name for name in entries if name.endswith(".npz")]):
        name = arrays[rng.integers(len(arrays))]
        content = entries[name]
        assert isinstance(content, bytes)
        entries[name], said = mutate_npz(rng, content)
        return zip_of(entries), f"{name}: {said}"
    weights = [name for name in entries if name.endswith(".pth")]
    name = weights[rng.integers(len(weights))]
    content = entries[name]
    assert isinstance(content, bytes)
    entries[name], said = in_torch(rng, content)
    return zip_of(entries), f"{name}: {said}"
