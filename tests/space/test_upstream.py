"""Checkpoints of the published code: how they come wrapped, and what is refused. Values: test_parity.py."""

from __future__ import annotations

import pickle

import pytest
import torch

from spacetime_env.config import ModelConfig
from spacetime_env.space import Space, load_upstream


@pytest.fixture(scope="module")
def upstream() -> dict[str, torch.Tensor]:
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


def same(space: Space, upstream: dict[str, torch.Tensor]) -> bool:
    head = space.foreground.encoder.head.weight[8:9]
    first = space.foreground.encoder.layers[0].weight
    return torch.equal(head, upstream["fg_module.img_encoder.z_pres_net.weight"]) and torch.equal(
        first, upstream["fg_module.img_encoder.enc.0.weight"]
    )


def test_every_wrapping_loads(upstream, tmp_path):
    """SPACE's checkpoints, MOC's with ``space.``, DataParallel's with ``module.``, and a file with more in it."""
    assert same(load_upstream(upstream), upstream)
    assert same(load_upstream({f"module.space.{k}": v for k, v in upstream.items()}), upstream)
    path = tmp_path / "model_5000.pth"
    torch.save(
        {"model": {f"space.{k}": v for k, v in upstream.items()}, "epoch": 3, "optimizer_fg": {}}, path
    )
    space = load_upstream(path)
    assert same(space, upstream) and not space.training
    assert space.config.color_order == "bgr"


def test_coarser_grids_take_a_stride(upstream):
    state = {**upstream, "fg_module.img_encoder.offset": torch.zeros(2, 8, 8)}
    space = load_upstream(state)
    assert space.config.grid == 8
    assert space(torch.zeros(1, 3, 128, 128)).foreground.latents.z_pres.shape == (1, 64, 1)


def test_what_is_refused(upstream, tmp_path):
    with pytest.raises(ValueError, match="no checkpoint file"):
        load_upstream(tmp_path / "none.pth")
    with pytest.raises(ValueError, match="no SPACE or SPACE-Time checkpoint"):
        load_upstream({"weight": torch.zeros(2)})
    with pytest.raises(ValueError, match="motion_input"):
        load_upstream({**upstream, "fg_module.img_encoder.z_pres_net.weight": torch.zeros(1, 129, 1, 1)})
    with pytest.raises(ValueError, match="one component"):
        load_upstream({**upstream, "bg_module.comp_decoder.dec.0.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"do not fit the network: unknown background\.other\.weight"):
        load_upstream({**upstream, "bg_module.other.weight": torch.zeros(1)})
    less = {k: v for k, v in upstream.items() if k != "bg_module.rnn_mask_c"}
    with pytest.raises(ValueError, match=r"missing background\.rnn_mask_c"):
        load_upstream(less)


def test_a_pickle_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (print, ("unpickled",))

    path = tmp_path / "trap.pth"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="cannot be read as a checkpoint of tensors"):
        load_upstream(path)
    torch.save({"model": Trap()}, path)
    with pytest.raises(ValueError, match="cannot be read as a checkpoint of tensors"):
        load_upstream(path)
