"""Values that break parsers: numbers, texts, and pieces of YAML that no tree of values gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Rng = np.random.Generator

CANARY = "canary_payload"  # a module in the current directory of each case; it must never be imported
OUTSIDE = "outside.txt"  # a file beside the folder of each case; it must never be read

NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 255, 256, 65_536, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63)),
    *(10**5, 10**6, 10**9, 10**12, 10**18, 10**30, -(10**12), 10**400, True, False),
    *(0.0, -0.0, 0.5, -0.5, 1.0, 1.5, 1e-300, 1e300, -1e300, math.nan, math.inf, -math.inf),
)
WORDS = f"""
x on off null nan inf 1e999 -1 0 10**12 1,2 lin_x lin_nan lin_inf lin_-1 Pong Breakout
nn.init nn.ModuleList dict(net_arch=[10**9]) dict(a=1) dict(activation_fn=nn.modules) __import__('os')
{CANARY}.X {CANARY}:Env-v0 os.system this.s subprocess.Popen builtins.exec antigravity.x
../../x /etc/passwd .. . / ~ $HOME ../{OUTSIDE} ./../{OUTSIDE} random+random sticky-random-0 +
{{}} {{0}} {{0.__class__}} %s %(x)s %n
"""
TEXTS: tuple[str, ...] = (
    *WORDS.split(),
    *("", " ", "\n", "a\nb: c", "\x00", "a\x00b", "\udcff", "\N{SNOWMAN}"),
    *("x" * 300, "x/" * 3000, "x" * 100_000, "[" * 300, "(" * 300, "-" * 999),
)
LISTS: tuple[Any, ...] = ([], [1], [1, 2], ["x"], {}, {"a": 1}, {1: 2}, [[]], [None], {"": ""}, None, [1] * 1000)


class Raw(NamedTuple):
    """Text that goes into a YAML document as it is, in the place of a value."""

    text: str


def aliases(depth: int) -> str:
    """A value of a few hundred letters that means 9 ** ``depth`` of them."""
    anchors = ["&a0 [x, x, x, x, x, x, x, x, x]"]
    anchors += [f"&a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, depth)]
    return f"[{', '.join(anchors)}]"


PIECES = """
!!bool foo | !!bool '' | !!int x | !!int '' | !!int '_' | !!float x | !!float '' | !!null x | !!str [a] | !!map [a]
2001-99-99 | 2001-02-30 | 2001-01-01t99:99:99 | !!timestamp x | 12:30:45 | 0o9 | 0x | 1_0 | !!seq {a: b} | !!binary x
!!binary aGk= | !!set {a, b} | !!omap [a: b] | !!pairs [a: b] | !x y | *nobody | &a *a | &b [*b] | &c {a: *c}
!!python/object/apply:os.system [ls] | !!python/name:os.system | {[a]: b} | {? {a: b} : c} | {<<: 3} | {<<: [3]}
{1: 2, 1: 3} | ' | "\\x | % | @ | `
"""
RAWS: tuple[Raw, ...] = (
    *(Raw(piece.strip()) for line in PIECES.strip().splitlines() for piece in line.split(" | ")),
    *(Raw("9" * 5000), Raw("\t"), Raw("[" * 300 + "]" * 300)),
    *(Raw("[" * 10_000 + "]" * 10_000), Raw("{a: " * 10_000 + "1" + "}" * 10_000)),
    *(Raw(aliases(depth)) for depth in (5, 6, 7, 9)),
    *(Raw(f"{{x: {aliases(depth)}}}") for depth in (5, 7, 9)),
)


def value(rng: Rng, there: Any = None, raws: bool = True) -> Any:
    """Another value for a place in a tree: as often as not of the type of what is ``there``.

    What is of another type is refused at the first look; what is of the same type goes further.
    """
    draw = rng.random()
    near: Sequence[Any] = ()
    if draw < 0.25:
        near = nearby(there)
    elif draw < 0.5 and there is not None:
        near = [one for one in (*NUMBERS, *TEXTS, *LISTS) if type(one) is type(there)]
    if near:
        return near[int(rng.integers(len(near)))]
    pools: list[Sequence[Any]] = [NUMBERS, NUMBERS, TEXTS, LISTS, *([RAWS] if raws else [])]
    pool = pools[int(rng.integers(len(pools)))]
    return pool[int(rng.integers(len(pool)))]


def nearby(there: Any) -> Sequence[Any]:
    """Values near to one; none of what is no number, text or list."""
    if isinstance(there, (int, float)):
        whole = (there + 1, there - 1, there * 2, -there, there * 1000)
        if abs(there) > 2**1000:  # no float holds it, and Python prints none of so many digits
            return whole
        return (*whole[:4], there / 2, whole[4], float(there), str(there))
    if isinstance(there, str):
        return (
            f"{there}x",
            there[:-1],
            there.upper(),
            there * 50,
            [there],
            f"{there}\0",
            f"./{there}",
            f"{there}.{there}",
        )
    if isinstance(there, list) and there:
        return (there[:-1], there + there[-1:], [there], there[::-1], there * 200, there[0])
    return ()
