"""Reads checkpoints of the published code: SPACE (zhixuan-lin/SPACE) and SPACE-Time (k4ntz/MOC)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from spacetime_env.config import BackgroundConfig, EncoderConfig, ModelConfig
from spacetime_env.files import FileError, read_bytes, shown_names, shown_path, shown_text
from spacetime_env.files.old_tensors import read_tensors_of_any_form
from spacetime_env.space.network import Space

Variant = Literal["space", "space+motion", "space+motion+continuity"]
MOST_BYTES = 1 << 28  # of a checkpoint, and of its tensors; that of the published network has 20 MB, or 60 with Adam's
SOURCE = "the weights of this checkpoint of the published code"
# Upstream's name -> ours. Heads that are one layer here are joined afterwards.
_NAMES = (
    (r"^fg_module\.img_encoder\.enc\.", "foreground.encoder.layers."),
    (r"^fg_module\.img_encoder\.enc_lat\.", "foreground.encoder.lateral."),
    (r"^fg_module\.img_encoder\.enc_cat\.", "foreground.encoder.concat."),
    (r"^fg_module\.z_what_net\.enc_cnn\.", "foreground.glimpse_encoder.layers."),
    (r"^fg_module\.z_what_net\.enc_what\.", "foreground.glimpse_encoder.head."),
    (r"^fg_module\.glimpse_dec\.dec\.", "foreground.glimpse_decoder.layers."),
    (r"^bg_module\.image_enc\.enc\.", "background.image_enc."),
    (r"^bg_module\.(predict_mask|predict_mask_prior)\.fc\.", r"background.\1.net."),
    (r"^bg_module\.predict_comp_prior\.mlp\.", "background.predict_comp_prior.net."),
    (r"^bg_module\.mask_decoder\.dec\.", "background.mask_decoder."),
    (r"^bg_module\.comp_encoder\.enc\.", "background.comp_encoder.net."),
    (r"^bg_module\.comp_decoder\.decoder\.", "background.comp_decoder."),
    (r"^bg_module\.", "background."),
)
_JOINED = {
    "foreground.encoder.head": ("z_scale_net", "z_shift_net", "z_pres_net", "z_depth_net"),
    "foreground.glimpse_decoder.head": ("dec_o", "dec_alpha"),
}
# Last values of schedules, grid offsets that are computed here, and tensors that upstream itself does not use.
_UNUSED = re.compile(
    r"^(fg_module\.(tau|prior_\w+|boundary_filter\.weight|img_encoder\.offset)|zero|arch_type|area_object_weight)$"
)


def load_upstream(
    source: str | os.PathLike[str] | Mapping[str, Any], components: int = 3, variant: Variant = ModelConfig.variant
) -> Space:
    """Build a :class:`Space` of the published size from a checkpoint of the published code.

    Published models see frames in BGR order; the network's ``config.color_order`` says so, and
    :func:`spacetime_env.frames.to_tensor` obeys it.

    Args:
        source: a ``.pth`` file, or its state dict. Of a file nothing but tensors is unpickled, and its tensors take no
            more memory than :data:`MOST_BYTES`.
        components: K of the background. It cannot be read from the weights, since all components share them. The
            published configs use 3 for Pong and 5 by default. Objects are found without it.
        variant: what it was trained with. The weights do not tell, and nothing that is found depends on it.

    Raises:
        ValueError: not such a checkpoint, or one of a variant that this package does not have.
    """
    if isinstance(source, Mapping):
        return _build(_strip(source), components, variant)
    state = _strip(_read(Path(source)))
    try:
        return _build(state, components, variant)
    except ValueError as error:
        raise ValueError(f"{shown_path(source)}: {error}") from None


def _build(state: Mapping[str, Tensor], components: int, variant: Variant) -> Space:
    """See :func:`load_upstream`; ``state`` as :func:`_strip` gives it."""
    if "fg_module.z_what_net.enc_what.weight" not in state or "fg_module.img_encoder.offset" not in state:
        raise ValueError(
            "this is no SPACE or SPACE-Time checkpoint: expected keys such as "
            f"'space.fg_module.z_what_net.enc_what.weight', found {shown_names([*state][:3]) or 'none'}."
        )
    if "bg_module.comp_decoder.dec.0.weight" in state:
        raise ValueError("this checkpoint has a background of one component (K=1, strong decoder); K >= 2 is needed.")
    try:
        _require_small(state)
        if state["fg_module.img_encoder.z_pres_net.weight"].shape[1] != 128:
            raise ValueError(
                "this checkpoint was trained with motion as an input (motion_input), which is not supported."
            )
        config, tensors = replace(_config(state, components), variant=variant), _rename(state)
        with torch.device("meta"):  # without numbers: its size is not known to be that of the file yet
            described = Space(config)
    except (LookupError, TypeError, RuntimeError, ArithmeticError) as error:  # a tensor is missing, or of another shape
        reason = shown_text(" ".join(str(error).split())).rstrip(".")
        raise ValueError(f"this is no whole SPACE or SPACE-Time checkpoint: {reason}.") from None
    own = described.state_dict()
    like = {name: own[name].new_empty(value.shape) if name in own else value for name, value in tensors.items()}
    described.require_tensors(like, SOURCE)  # shapes alone: numbers may be of another type
    with torch.random.fork_rng(devices=[]):  # its first weights are drawn, and replaced
        space = Space(config)
    space.load_tensors({name: value.to(own[name].dtype) for name, value in tensors.items()}, SOURCE)
    return space.eval()


def _read(path: Path) -> Mapping[str, Any]:
    """The dict in a file.

    Raises:
        ValueError: there is none.
    """
    try:
        found = read_tensors_of_any_form(read_bytes(path, MOST_BYTES), path)
    except FileNotFoundError:
        raise ValueError(f"no checkpoint file {shown_path(path)}.") from None
    except FileError as error:
        raise ValueError(str(error)) from None
    if not isinstance(found, Mapping):
        raise ValueError(f"{shown_path(path)} holds no checkpoint: expected tensors by name.")
    return found


def _require_small(state: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are larger than they look, since a view may repeat one number a billion times, and numbers
    that no weight has.

    Raises:
        ValueError: naming the tensor.
    """
    if sum(value.numel() * value.element_size() for value in state.values()) > MOST_BYTES:
        raise ValueError(f"the tensors of this checkpoint have over {MOST_BYTES:,} bytes.")
    for name, value in state.items():
        real = value.layout == torch.strided and not value.is_meta and not value.is_complex()
        if not real or not bool(value.isfinite().all()):
            raise ValueError(f"{shown_text(name)} of this checkpoint has a number that is NaN, infinite or not real.")


def _strip(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors alone, without what upstream's Checkpointer and DataParallel add, and without unused ones."""
    for wrapper in ("model", "state_dict"):
        if isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    named = {key: value for key, value in state.items() if isinstance(key, str)}
    plain = {re.sub(r"^(module\.)?(space\.)?", "", key): value for key, value in named.items()}
    kept = ("fg_module.img_encoder.offset",)
    return {k: v for k, v in plain.items() if isinstance(v, Tensor) and (k in kept or not _UNUSED.match(k))}


def _config(state: Mapping[str, Tensor], components: int) -> ModelConfig:
    """The configuration of the published network that has these tensors."""
    grid = state["fg_module.img_encoder.offset"].shape[-1]
    layers = list(EncoderConfig().layers)
    for index, grids in ((4, (8, 4)), (3, (4,))):  # upstream strides its last 3x3 layers for coarser grids
        if grid in grids:
            width, kernel, _, padding, groups = layers[index]
            layers[index] = (width, kernel, 2, padding, groups)
    background = BackgroundConfig(
        components=components,
        image_dim=state["bg_module.image_enc.enc.13.weight"].shape[0],
        mask_dim=state["bg_module.z_mask_0"].shape[0],
        component_dim=state["bg_module.comp_encoder.enc.13.weight"].shape[0] // 2,
        hidden_dim=state["bg_module.rnn_mask_h"].shape[0],
    )
    return replace(
        ModelConfig(),
        color_order="bgr",
        grid=grid,
        z_what_dim=state["fg_module.z_what_net.enc_what.weight"].shape[0] // 2,
        encoder=EncoderConfig(layers=tuple(layers)),
        background=background,
    )


def _rename(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the names of :class:`Space`, with those of ``_JOINED`` put together."""
    result: dict[str, Tensor] = {}
    parts = {name: target for target, names in _JOINED.items() for name in names}
    for key, value in state.items():
        if key == "fg_module.img_encoder.offset" or key.split(".")[-2] in parts:
            continue
        for pattern, ours in _NAMES:
            renamed, hits = re.subn(pattern, ours, key)
            if hits:
                break
        result[renamed] = value
    for target, names in _JOINED.items():
        for kind in ("weight", "bias"):
            prefix = "fg_module.img_encoder" if "encoder" in target else "fg_module.glimpse_dec"
            values = [state[f"{prefix}.{name}.{kind}"] for name in names if f"{prefix}.{name}.{kind}" in state]
            if values:
                result[f"{target}.{kind}"] = torch.cat(values)
    return result
