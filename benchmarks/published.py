"""The published code (github.com/k4ntz/MOC), run from a checkout that the user gives. None of it is in this project.

It expects CUDA and packages that are gone from PyPI; small stand-ins are put in their place, so that its network runs
on a CPU as it is.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import torch


class Attributes(dict):
    """What yacs' CfgNode and attrdict's AttrDict are to the network: a dict with attributes."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__  # type: ignore[assignment]


def load(checkout: Path) -> tuple[Any, Any]:
    """The published network, Pong's configuration (G 16, K 3), and its ``Space`` inside.

    Args:
        checkout: of k4ntz/MOC; its ``src`` folder is imported from.
    """
    source = checkout / "src"
    if not (source / "model" / "space" / "space.py").is_file():
        raise SystemExit(f"{checkout} is no checkout of github.com/k4ntz/MOC: it has no src/model/space/space.py.")
    stand_ins: dict[str, dict[str, Any]] = {
        "attrdict": {"AttrDict": Attributes},
        "yacs": {},
        "yacs.config": {"CfgNode": Attributes},
        "rtpt": {"RTPT": object},
        "eval": {"convert_to_boxes": None},
    }
    for name, content in stand_ins.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        sys.modules[name] = module
    package = types.ModuleType("model")  # its own __init__ imports a second network that needs more
    package.__path__ = [str(source / "model")]
    sys.modules["model"] = package
    sys.path.insert(0, str(source))
    if not torch.cuda.is_available():
        torch.Tensor.cuda = lambda self, *args, **kwargs: self  # type: ignore[method-assign,assignment]
    from model.space.arch import arch  # type: ignore[import-not-found]

    pong = {"motion_input": False, "G": 16, "K": 3, "fg_sigma": 0.2, "bg_sigma": 0.1}
    pong |= {"fix_alpha_steps": -1, "motion_underestimating": 1.5}
    pong |= {"z_pres_start_step": 1000, "z_pres_end_step": 5000, "z_pres_end_value": 1e-10}
    pong |= {"z_scale_mean_start_step": 0, "z_scale_mean_end_step": 5000}
    pong |= {"z_scale_mean_start_value": -2.0, "z_scale_mean_end_value": -2.5}
    arch.update(pong)
    from model.space.time_consistency import TcSpace  # type: ignore[import-not-found]

    torch.manual_seed(0)
    network = TcSpace()
    return network, network.space
