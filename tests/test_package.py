"""What the package promises as a whole."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("stable_baselines3", "torch", "matplotlib", "tensorboard")


def dependencies() -> list[str]:
    project = (ROOT / "pyproject.toml").read_text()
    found = re.search(r"^dependencies = \[\n(.*?)^\]", project, re.M | re.S)
    assert found
    return re.findall(r'^    "([\w-]+)>=', found[1], re.M)


def extras(name: str) -> list[str]:
    project = (ROOT / "pyproject.toml").read_text()
    found = re.search(rf"^{name} = \[(.*)\]$", project, re.M)
    assert found
    return re.findall(r'"([\w-]+)>=', found[1])


def test_import_is_light() -> None:
    code = f"import sys, spacetime_env; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_import_is_a_declared_dependency() -> None:
    of = {"cv2": "opencv-python", "grpc": "grpcio", "PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}
    imported = set()
    for path in (ROOT / "spacetime_env").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.append(node.module)
            imported |= {name.split(".")[0] for name in names}
    needed = {of.get(name, name.replace("_", "-")) for name in imported - set(sys.stdlib_module_names)}
    optional = {package for extra in ("eval", "fast", "ray", "rooms") for package in extras(extra)}
    assert needed - set(dependencies()) - optional == {"spacetime-env"}


def test_what_only_evaluation_needs_is_optional_and_pinned() -> None:
    assert extras("eval") == ["matplotlib", "motmetrics"] and not set(extras("eval")) & set(dependencies())
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(), re.M)
    assert set(extras("eval")) <= set(pinned)
    code = (
        "import sys; sys.modules |= dict.fromkeys(('matplotlib', 'motmetrics'))\n"
        "import spacetime_env.evaluation.evaluate, spacetime_env.evaluation.plots, "
        "spacetime_env.evaluation.tables, spacetime_env.evaluation.crops"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_without_numba_all_is_the_same_but_slower() -> None:
    assert extras("fast") == ["numba"] and "numba" not in dependencies()
    code = (
        "import sys\n"
        "if sys.argv[1] == 'without': sys.modules['numba'] = None\n"
        "from spacetime_env.envs.env import make_env\n"
        "from spacetime_env.compiled import INSTALLED\n"
        "assert INSTALLED == (sys.argv[1] == 'with')\n"
        "env = make_env('SpaceInvaders')\n"
        "env.reset(seed=1)\n"
        "print([env.step(i % 6)[0].round(4).tolist() for i in range(40)])"
    )
    answers = [
        subprocess.run([sys.executable, "-c", code, how], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for how in ("with", "without")
    ]
    assert answers[0].splitlines()[-1] == answers[1].splitlines()[-1]


def test_constraints_name_every_dependency_once_a_python() -> None:
    names = dependencies()
    assert len(names) > 10
    for file in ("constraints.txt", "constraints-labels.txt"):
        pinned = re.findall(r"^([\w-]+)==", (ROOT / file).read_text(), re.M)
        assert [name for name in names if name not in pinned] == [], file


def test_torch_is_pinned_to_the_tested_build() -> None:
    assert "\ntorch==2.13.0\n" in (ROOT / "constraints.txt").read_text()


@pytest.mark.parametrize("folder", ["models", "agents"])
def test_nothing_that_ships_is_ignored_by_git(folder: str) -> None:
    for name in ("policy.zip", "model.safetensors", "model.yaml", "agent.yaml", "CARD.md", "curve.svg"):
        done = subprocess.run(
            ["git", "-C", str(ROOT), "check-ignore", "-q", "--no-index", f"{folder}/x/{name}"],
            capture_output=True,
            check=False,
        )
        if done.returncode == 128:
            pytest.skip("not a git checkout")
        assert done.returncode == 1, f"{folder}/x/{name} is ignored, so it would miss in the sdist"
