"""Reads checkpoints of the published code: SPACE (zhixuan-lin/SPACE) and SPACE-Time (k4ntz/MOC)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spacetime_env.config import BackgroundConfig, EncoderConfig, ModelConfig
from spacetime_env.files import shown_names
from spacetime_env.space.network import Space

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


def load_upstream(source: str | os.PathLike[str] | Mapping[str, Any], components: int = 3) -> Space:
    """Build a :class:`Space` of the published size from a checkpoint of the published code.

    Published models see frames in BGR order; the network's ``config.color_order`` says so, and
    :func:`spacetime_env.frames.to_tensor` obeys it.

    Args:
        source: a ``.pth`` file, read with ``weights_only=True``, or its state dict.
        components: K of the background. It cannot be read from the weights, since all components share them. The
            published configs use 3 for Pong and 5 by default.

    Raises:
        ValueError: not such a checkpoint, or one of a variant that this package does not have.
    """
    state = _strip(source if isinstance(source, Mapping) else _read(Path(source)))
    if "fg_module.z_what_net.enc_what.weight" not in state or "fg_module.img_encoder.offset" not in state:
        raise ValueError(
            "this is no SPACE or SPACE-Time checkpoint: expected keys such as "
            f"'space.fg_module.z_what_net.enc_what.weight', found {shown_names([*state][:3]) or 'none'}."
        )
    if "bg_module.comp_decoder.dec.0.weight" in state:
        raise ValueError("this checkpoint has a background of one component (K=1, strong decoder); K >= 2 is needed.")
    if state["fg_module.img_encoder.z_pres_net.weight"].shape[1] != 128:
        raise ValueError("this checkpoint was trained with motion as an input (motion_input), which is not supported.")
    space = Space(_config(state, components))
    own = space.state_dict()
    renamed = {key: value.to(own[key].dtype) if key in own else value for key, value in _rename(state).items()}
    space.load_tensors(renamed, "the weights of this checkpoint of the published code")
    return space.eval()


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise ValueError(f"no checkpoint file {path}.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a file that is no checkpoint
        raise ValueError(f"{path} cannot be read as a checkpoint of tensors ({type(error).__name__}).") from error


def _strip(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors alone, without what upstream's Checkpointer and DataParallel add, and without unused ones."""
    for wrapper in ("model", "state_dict"):
        if isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    plain = {re.sub(r"^(module\.)?(space\.)?", "", key): value for key, value in state.items()}
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
