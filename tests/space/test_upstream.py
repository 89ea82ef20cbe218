"""Checkpoints of the published code: how they come wrapped, and what is refused. Values: test_parity.py."""

from __future__ import annotations

import pickle

import pytest
import torch

from benchmarks.fuzz.seed_published import upstream_state
from spacetime_env.space import Space, load_upstream
from tests.helpers.forged import saved


@pytest.fixture(scope="module")
def upstream() -> dict[str, torch.Tensor]:
    return upstream_state()


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
    for new in (True, False):
        path.write_bytes(saved({"model": Trap()}, new))
        with pytest.raises(ValueError, match="it names '__builtin__ print'"):
            load_upstream(path)


@pytest.mark.parametrize("new", [True, False])
def test_both_forms_of_a_file(upstream, tmp_path, new):
    """Published checkpoints may be older than the zips that torch writes today."""
    path = tmp_path / "model.pth"
    path.write_bytes(saved({"model": upstream, "optimizer_fg": {"state": {}}, "epoch": 3}, new))
    state = torch.get_rng_state()
    assert same(load_upstream(path), upstream)
    assert torch.equal(torch.get_rng_state(), state)  # a training that starts from it draws what it would draw anyway


def test_what_a_damaged_one_says(upstream, tmp_path):
    """Tensors that are missing, of other shapes, without numbers, or larger than they look."""
    name = "bg_module.image_enc.enc.13.weight"
    with pytest.raises(ValueError, match=f"no whole SPACE or SPACE-Time checkpoint: '{name}'"):
        load_upstream({k: v for k, v in upstream.items() if k != name})
    for value in (torch.zeros(()), torch.zeros(0, 10**12), torch.zeros(7, 5)):
        with pytest.raises(ValueError, match=r"no whole SPACE|do not fit the network"):
            load_upstream({**upstream, name: value})
    with pytest.raises(ValueError, match=r"rnn_mask_c of this checkpoint has a number that is NaN"):
        load_upstream({**upstream, "bg_module.rnn_mask_c": torch.full((64,), float("nan"))})
    with pytest.raises(ValueError, match="over 268,435,456 bytes"):
        load_upstream({**upstream, name: torch.zeros(1).expand(64, 2**31)})
    path = tmp_path / "list.pth"
    path.write_bytes(saved([1, 2]))
    with pytest.raises(ValueError, match="holds no checkpoint"):
        load_upstream(path)
    path.write_bytes(saved({3: torch.zeros(2)}))
    with pytest.raises(ValueError, match=r"no SPACE or SPACE-Time checkpoint.*found none"):
        load_upstream(path)
