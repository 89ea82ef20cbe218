"""Who may import whom: a module knows what lies below it, never what lies above. CONTRIBUTING.md has the map."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "spacetime_env"
FLOORS = [  # from the ground up; those of one floor do not know each other
    {"games", "frames", "files", "interrupt", "locks", "shipped", "compiled", "lazy", ""},
    {"config"},
    {"space", "objects"},
    {"models"},
    {"envs"},
    {"agent"},
    {"data"},
    {"evaluation"},
    {"training"},
    {"commands"},
    {"play", "viewer"},
]
ADDRESSES = {"env", "vector"}  # two lines each: saved specs name them
TOO_LONG: dict[str, str] = {}  # a module of more than 300 lines -> why
LONG_FUNCTIONS: dict[str, str] = {}  # a function of more than 60 lines -> why


def name_of(path: Path) -> str:
    """``envs.vector``; "" of the package itself, ``envs`` of a room's contents page."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(name: str) -> list[tuple[int, str]]:
    """Line and module of each import of our own, also in functions and for type checking."""
    found = []
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            asked = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{MODULES[name]}:{node.lineno}: a relative import"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            asked = [one if one.removeprefix("spacetime_env.") in MODULES else str(node.module) for one in whole]
        else:
            continue
        ours = (one for one in asked if one.split(".")[0] == "spacetime_env")
        found += [(node.lineno, one.removeprefix("spacetime_env").lstrip(".")) for one in ours]
    return found


def floor_of(name: str) -> int:
    room = name.split(".")[0]
    return next(i for i, rooms in enumerate(FLOORS) if ("envs" if room in ADDRESSES else room) in rooms)


def test_no_room_imports_a_later_one() -> None:
    wrong = []
    for name in MODULES:
        for line, other in imports(name) if name else []:  # the package's own page names what is public
            mine, its = name.split(".")[0], other.split(".")[0]
            same = mine == its or floor_of(name) == floor_of(other) == 0
            beside = floor_of(other) == floor_of(name) and not same and mine not in ADDRESSES
            if floor_of(other) > floor_of(name) or beside:
                wrong.append(f"{MODULES[name]}:{line}: {mine or 'the package'} imports {other}")
    assert not wrong, "\n".join(wrong)


def test_no_circle_of_modules() -> None:
    below = {name: sorted({(other, line) for line, other in imports(name)}) for name in MODULES if name}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        for other, line in below.get(name, ()):
            circle = [*way[way.index(other) :], other] if other in way else []
            assert not circle, f"{MODULES[name]}:{line}: a circle: {' -> '.join(circle)}"
            if other not in done:
                visit(other, (*way, other))
        done.add(name)

    for name in below:
        visit(name, (name,))


def test_the_root_is_small_and_no_module_is_long() -> None:
    assert len([name for name in MODULES if "." not in name and MODULES[name].parent == PACKAGE]) - len(ADDRESSES) <= 11
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    long = {f"{MODULES[name]}: {count} lines" for name, count in lines.items() if count > 300 and name not in TOO_LONG}
    assert not long, "\n".join(sorted(long))
    assert all(lines[name] > 300 for name in TOO_LONG), "a module is short again: take it out of TOO_LONG"


def functions(name: str, node: ast.AST) -> Iterator[tuple[str, int]]:
    """The functions and methods below a node: their names, with those of what they lie in, and lines."""
    for child in ast.iter_child_nodes(node):
        inner = f"{name}.{child.name}" if isinstance(child, (ast.FunctionDef, ast.ClassDef)) else name
        if isinstance(child, ast.FunctionDef):
            yield inner, (child.end_lineno or 0) - child.lineno + 1
        yield from functions(inner, child)


def test_no_function_is_long() -> None:
    """60 lines, its signature and docstring among them: it is read without scrolling."""
    lines = {
        function: count
        for name, path in MODULES.items()
        for function, count in functions(name, ast.parse(path.read_text(encoding="utf-8")))
    }
    assert len(lines) > 500
    long = {name for name, count in lines.items() if count > 60}
    assert not long - {*LONG_FUNCTIONS}, f"split it: {sorted(long - {*LONG_FUNCTIONS})}"
    assert not {*LONG_FUNCTIONS} - long, f"short again; take it out: {sorted({*LONG_FUNCTIONS} - long)}"


ROOMS = sorted(name for name, path in MODULES.items() if path.name == "__init__.py" and name and "." not in name)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_goes_in_and_out_and_what_is_public(room: str) -> None:
    module = importlib.import_module(f"spacetime_env.{room}")
    page = module.__doc__ or ""
    assert "\nIn: " in page and " Out:" in page.replace("\n", " "), page
    assert 5 <= len(page.splitlines()) <= 20
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None, name
    for name in re.findall(r":(?:class|func|data):`(\w+)`", page):  # those named without a module are the room's own
        assert name in module.__all__, f"the page of {room} names {name}"
