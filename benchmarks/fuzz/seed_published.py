"""A checkpoint of the published code, made from our own network."""

from __future__ import annotations

import torch
from torch import Tensor

from spacetime_env.config import ModelConfig
from spacetime_env.space import Space


def upstream_state() -> dict[str, Tensor]:
    """A state dict under upstream's names, made from ours by hand for the joined heads and by prefix for the rest."""
    torch.manual_seed(0)
    ours = Space(ModelConfig()).state_dict()
    renames = {
        "foreground.encoder.layers.": "fg_module.img_encoder.enc.",
        "foreground.encoder.lateral.": "fg_module.img_encoder.enc_lat.",
        "foreground.encoder.concat.": "fg_module.img_encoder.enc_cat.",
        "foreground.glimpse_encoder.layers.": "fg_module.z_what_net.enc_cnn.",
        "foreground.glimpse_encoder.head.": "fg_module.z_what_net.enc_what.",
        "foreground.glimpse_decoder.layers.": "fg_module.glimpse_dec.dec.",
        "background.image_enc.": "bg_module.image_enc.enc.",
        "background.predict_mask.net.": "bg_module.predict_mask.fc.",
        "background.predict_mask_prior.net.": "bg_module.predict_mask_prior.fc.",
        "background.predict_comp_prior.net.": "bg_module.predict_comp_prior.mlp.",
        "background.mask_decoder.": "bg_module.mask_decoder.dec.",
        "background.comp_encoder.net.": "bg_module.comp_encoder.enc.",
        "background.comp_decoder.": "bg_module.comp_decoder.decoder.",
        "background.": "bg_module.",
    }
    state = {"fg_module.img_encoder.offset": torch.zeros(2, 16, 16), "fg_module.tau": torch.tensor(2.5)}
    for key, value in ours.items():
        if key.startswith("foreground.encoder.head."):
            kind = key.rsplit(".", 1)[1]
            parts = zip(
                ("z_scale_net", "z_shift_net", "z_pres_net", "z_depth_net"), value.split((4, 4, 1, 2)), strict=True
            )
            state.update({f"fg_module.img_encoder.{name}.{kind}": part for name, part in parts})
        elif key.startswith("foreground.glimpse_decoder.head."):
            kind = key.rsplit(".", 1)[1]
            state[f"fg_module.glimpse_dec.dec_o.{kind}"], state[f"fg_module.glimpse_dec.dec_alpha.{kind}"] = (
                value.split((3, 1))
            )
        else:
            prefix = next(p for p in renames if key.startswith(p))
            state[renames[prefix] + key.removeprefix(prefix)] = value
    return state
