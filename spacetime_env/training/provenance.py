"""What a run was made with: settings, versions and the commit."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from spacetime_env import __version__
from spacetime_env.config import Config, to_dict


def provenance(config: Config, start: str = "") -> dict[str, Any]:
    """The resolved configuration, the versions and the commit that a run was made with.

    Args:
        start: the weights that it started with, a sentence; "": new ones.
    """
    versions = {
        name: metadata.version(name)
        for name in ("torch", "numpy", "gymnasium", "ale-py", "opencv-python")
        if _installed(name)
    }
    versions |= {"spacetime_env": __version__, "python": platform.python_version(), "commit": commit()}
    return {"versions": versions, **({"start": start} if start else {}), "config": to_dict(config)}


def commit() -> str:
    """The checkout's commit, with ``+`` where code or configs are changed; ``unknown`` outside a checkout."""
    folder = Path(__file__).parents[1]  # the package

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()

    try:
        # Not the whole tree: the models that a run before has written change nothing.
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", "../configs")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def as_yaml(tree: object) -> bytes:
    """Plain lists, dicts and scalars as YAML."""
    return yaml.safe_dump(tree, sort_keys=False).encode()
