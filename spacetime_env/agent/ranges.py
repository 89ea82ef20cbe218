"""Types and ranges of hyperparameters, checked before Stable-Baselines3 sees them.

SB3 checks few of its arguments: a text or an infinity in place of a number surfaces as an error of torch or numpy, some
of them after hours; a huge number takes all memory. The bounds are far beyond what anyone trains with.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

from spacetime_env.agent import names
from spacetime_env.agent.checks import Check, auto, checked, flag, number, optional, table_of, whole
from spacetime_env.agent.errors import AgentError
from spacetime_env.files import is_whole, shown

WEIGHTS = 20_000_000  # most weights between hidden layers: 80 MB
MANY = 10**9


def _frequency(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        if len(value) != 2 or value[1] not in ("step", "episode"):
            raise ValueError("a whole number, or such as (1, 'episode')")
        return whole(1, MANY)(value[0]), value[1]
    return whole(1, MANY)(value)


def _layers(value: Any) -> Any:
    """``[64, 64]`` or ``{pi: [64], vf: [64]}``."""
    says = "sizes of layers, such as [64, 64] or dict(pi=[64], vf=[64]), each from 1 to 8,192"
    if isinstance(value, Mapping):
        if not set(value) <= {"pi", "vf", "qf"}:
            raise ValueError(says)
        return {key: _layers(sizes) for key, sizes in value.items()}
    if not isinstance(value, (list, tuple)) or len(value) > 64:
        raise ValueError(says)
    try:
        sizes = [whole(1, 8192)(size) for size in value]
    except ValueError:
        raise ValueError(says) from None
    if sum(one * other for one, other in itertools.pairwise(sizes)) > WEIGHTS:
        raise ValueError(f"layers with at most {WEIGHTS:,} weights between them")
    return sizes


def _features(value: Any) -> list[str]:
    if not isinstance(value, (list, tuple)) or len(value) > 10_000 or not all(isinstance(one, str) for one in value):
        raise ValueError("a list of names of features")
    return list(value)


def _of_optimizer(value: Any) -> dict[str, Any]:
    says = "names and finite numbers, such as dict(eps=1e-5)"
    if not isinstance(value, Mapping) or len(value) > 20:
        raise ValueError(says)
    kept: dict[str, Any] = {}
    for key, item in value.items():
        pair = item if isinstance(item, (list, tuple)) else [item]
        if not isinstance(key, str) or len(pair) > 2:
            raise ValueError(says)
        found = [one if one is None or isinstance(one, bool) else number()(one) for one in pair]
        kept[key] = tuple(found) if isinstance(item, (list, tuple)) else found[0]
    return kept


SCHEDULED = ("learning_rate", "clip_range", "clip_range_vf", "delta_std")  # see hyperparameters.scheduled
EXTRACTOR: Mapping[str, Check] = {
    "features": _features,
    "offset_scale": number(),
    "velocity_scale": number(),
    "max_pairs": whole(0, 10_000),
    "message_dim": whole(1, 1024),
    "features_dim": whole(1, 8192),
    "cnn_output_dim": whole(1, 8192),
    "normalized_image": flag,
}
POLICY: Mapping[str, Check] = {
    "net_arch": optional(_layers),
    **dict.fromkeys(("ortho_init", "use_sde", "full_std", "use_expln", "squash_output", "normalize_images"), flag),
    **dict.fromkeys(("share_features_extractor", "shared_lstm", "enable_critic_lstm", "batch_norm"), flag),
    "with_bias": flag,
    "log_std_init": number(-100, 100),
    "clip_mean": number(0),
    "n_critics": whole(1, 100),
    "n_quantiles": whole(1, 10_000),
    "lstm_hidden_size": whole(1, 2048),
    "n_lstm_layers": whole(1, 8),
    "batch_norm_momentum": number(0, 1),
    "batch_norm_eps": number(0, 1, above=True),
    "renorm_warmup_steps": whole(0, MANY),
    "features_extractor_kwargs": optional(table_of(EXTRACTOR)),
    "optimizer_kwargs": optional(_of_optimizer),
    "lstm_kwargs": optional(table_of({"bias": flag, "dropout": number(0, 1)})),
}
CLASSES: Mapping[str, Mapping[str, type]] = {  # the names in policy_kwargs that stand for classes
    "activation_fn": names.ACTIVATIONS,
    "optimizer_class": names.OPTIMIZERS,
    "features_extractor_class": names.EXTRACTORS,
}
ALGORITHM: Mapping[str, Check] = {  # None and "auto" are taken where they are SB3's defaults
    **dict.fromkeys(("gamma", "gae_lambda", "tau", "exploration_fraction"), number(0, 1)),
    **dict.fromkeys(("exploration_initial_eps", "exploration_final_eps"), number(0, 1)),
    **dict.fromkeys(("normalize_advantage", "use_sde", "use_sde_at_warmup", "use_rms_prop", "zero_policy"), flag),
    "optimize_memory_usage": flag,
    "n_steps": whole(1, 10**7),
    "batch_size": whole(1, 10**7),
    "n_epochs": whole(1, 10_000),
    "ent_coef": number(0),
    "vf_coef": number(0),
    "max_grad_norm": number(0, above=True),
    "target_kl": number(0, above=True),
    "sde_sample_freq": whole(-1, MANY),
    "stats_window_size": whole(1, 1_000_000),
    "buffer_size": whole(1, MANY),
    "learning_starts": whole(0, MANY),
    "train_freq": _frequency,
    "gradient_steps": whole(-1, MANY),
    "target_update_interval": whole(1, MANY),
    "rms_prop_eps": number(0, 1, above=True),
    "policy_delay": whole(1, MANY),
    "target_policy_noise": number(0),
    "target_noise_clip": number(0),
    "target_entropy": number(),
    "top_quantiles_to_drop_per_net": whole(0, 10_000),
    "n_critic_updates": whole(1, MANY),
    "cg_max_steps": whole(1, 10_000),
    "cg_damping": number(0),
    "line_search_shrinking_factor": number(0, 1, above=True),
    "line_search_max_iter": whole(1, 10_000),
    "sub_sampling_factor": whole(1, 10_000),
    "n_delta": whole(1, 10_000),
    "n_top": whole(1, 10_000),
    "n_eval_episodes": whole(1, 10_000),
    "alive_bonus_offset": number(),
}
REFUSED: Mapping[str, str] = {  # arguments of SB3's algorithms that are no hyperparameters
    "seed": "train_agent.py has --seed",
    "device": "train_agent.py has --device, load_agent has device=",
    "tensorboard_log": "train_agent.py has --tensorboard-log",
    "verbose": "train_agent.py has --verbose",
    "_init_setup_model": "it would leave the agent without a network",
    **dict.fromkeys(("rollout_buffer_class", "rollout_buffer_kwargs"), "there is one kind of rollout buffer"),
    **dict.fromkeys(("replay_buffer_class", "replay_buffer_kwargs"), "there is one kind of replay buffer"),
    "action_noise": "it is an object of SB3, which text cannot spell",
}
NORMALIZE: Mapping[str, Check] = {  # of VecNormalize
    **dict.fromkeys(("norm_obs", "norm_reward"), flag),
    **dict.fromkeys(("clip_obs", "clip_reward"), number(0, above=True)),
    "gamma": number(0, 1),
    "epsilon": number(0, 1, above=True),
    "norm_obs_keys": optional(_features),
}


def _frameskip(value: Any) -> Any:
    says = "a whole number from 1 to 1,000, or two of them, the least and one over the most"
    try:
        if isinstance(value, (list, tuple)):
            least, over = (whole(1, 1001)(one) for one in value)
            return least, over
        return whole(1, 1000)(value)
    except ValueError:
        raise ValueError(says) from None


def _plain(value: Any) -> Any:
    """A value of an env option whose meaning only the env knows."""
    if isinstance(value, str) and len(value) > 4096:
        raise ValueError("a text of at most 4,096 letters")
    if isinstance(value, (list, tuple)) and len(value) <= 100 and not any(isinstance(v, (list, tuple)) for v in value):
        return type(value)(_plain(one) for one in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a finite number")
    if is_whole(value) and abs(value) > 2**63:
        raise ValueError("a number under 2**63")
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise ValueError("a number, a text, True, False, None or a short list of these")
    return value


ENV: Mapping[str, Check] = {  # options of envs that could take all memory or all time
    "history": whole(1, 1000),
    "noop_max": whole(0, 10_000),
    "frameskip": _frameskip,
    "max_episode_steps": optional(whole(-1, MANY)),
    "max_num_frames_per_episode": optional(whole(0, MANY)),
}


def env_kwargs(given: Any) -> dict[str, Any]:
    """Options of an env that come from a file, as plain values.

    Raises:
        AgentError: they are no names and values, one is out of range, or ``render_mode`` or ``device`` is one of them:
            whether a window opens is not for a file to say.
    """
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise AgentError(f"env_kwargs: expected names and values, got {shown(given)}.")
    if "device" in given:
        raise AgentError(
            "env_kwargs: device is of a machine and not for a file to say. Where the env's model runs says "
            "train_agent.py --model-device, or load_agent(model_device=...)."
        )
    if "render_mode" in given:
        raise AgentError("env_kwargs: render_mode is not for a file to say. Pass it when the agent is loaded.")
    return {key: checked(value, key, {key: ENV.get(key, _plain)}) for key, value in given.items()}


def argument(value: Any, key: str, default: Any) -> Any:
    """An argument of an algorithm, as its check gives it.

    Args:
        value: as a file or a command line has it.
        key: its name.
        default: SB3's; None and "auto" are taken where they are that.

    Raises:
        AgentError: it is no hyperparameter, has another type, or is out of range.
    """
    if key in REFUSED:
        raise AgentError(f"{key} cannot be set as a hyperparameter: {REFUSED[key]}.")
    check = ALGORITHM[key] if key in ALGORITHM else number()
    check = auto(check) if isinstance(default, str) else check
    return checked(value, key, {key: optional(check) if default is None else check})


def policy_kwargs(value: Any, trust: bool = False) -> dict[str, Any]:
    """The arguments of a policy, with classes in place of their names.

    Raises:
        AgentError: a name or a value of them cannot be used.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise AgentError(f"policy_kwargs: expected such as dict(net_arch=[64, 64]), got {shown(value)}.")
    known: dict[str, Check] = dict(POLICY)
    for key, kinds in CLASSES.items():
        known[key] = lambda given, key=key, kinds=kinds: names.one_of(kinds, given, key, trust)  # type: ignore[misc]
    if trust:  # a policy of one's own has arguments of its own
        known |= {key: lambda given: given for key in value if key not in known}
    return {key: checked(item, key, known) for key, item in value.items()}
