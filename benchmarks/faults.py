"""Small faults to put into a file: used by :mod:`benchmarks.mutants`.

cosmic-ray (https://cosmic-ray.readthedocs.io) changes operators, comparisons, numbers and conditions, and skips loops.
It removes no statements; that is done here, since a line that does nothing is what tests miss most.
"""

from __future__ import annotations

import ast
import difflib
import random
from collections.abc import Iterator

# A family is drawn first, then a place: else the twelve replacements of each binary operator would be nearly all.
# What is in none of these (True and False, and and or, break, decorators, exceptions) is one more.
FAMILIES = ("BinaryOperator", "Comparison", "Number", "UnaryOperator", "AddNot", "ZeroIteration")
REMOVAL = "statement removal"

Fault = tuple[str, str, int]  # family, operator, number of the place


def shuffled(source: str, rng: random.Random) -> Iterator[Fault]:
    """Places of a file that can be changed, each once: a family at random, then a place of it."""
    families: dict[str, list[Fault]] = {}
    for fault in faults(source):
        families.setdefault(fault[0], []).append(fault)
    for places in families.values():
        rng.shuffle(places)
    while families:
        name = rng.choice(sorted(families))
        yield families[name].pop()
        if not families[name]:
            del families[name]


def faults(source: str) -> list[Fault]:
    """All places of a file that can be changed."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    nodes = list(ast_nodes(get_ast(source)))
    found: list[Fault] = [(REMOVAL, REMOVAL, number) for number in range(len(removable(source)))]
    for name in sorted(operator_names()):
        operator = get_operator(name)
        if operator.arguments() or "no-op" in name:  # those with arguments want to be told which variables
            continue
        family = next((word for word in FAMILIES if word in name), "other")
        count = sum(len(list(operator().mutation_positions(node))) for node in nodes)
        found += [(family, name, occurrence) for occurrence in range(count)]
    return found


def with_fault(source: str, fault: Fault) -> str | None:
    """The file with a fault in it; None where it would mean the same, or be no Python."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    _, operator, number = fault
    if operator == REMOVAL:
        code: str | None = without(source, removable(source)[number])
    else:
        code = mutate_code(source, get_operator(operator)(), number)
    if code is None or means(code) in (means(source), None):
        return None
    return code


def removable(source: str) -> list[ast.stmt]:
    """Statements that can be left out: calls, changes of what is there already, and conditions without an else."""
    found: list[ast.stmt] = []
    for node in ast.walk(ast.parse(source)):
        call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        change = isinstance(node, ast.AugAssign)
        if isinstance(node, ast.Assign):
            change = all(isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets)
        if call or change or (isinstance(node, ast.If) and not node.orelse):
            assert isinstance(node, ast.stmt)
            found.append(node)
    return found


def without(source: str, node: ast.stmt) -> str:
    """The file with ``pass`` in place of a statement."""
    lines = source.splitlines(keepends=True)
    assert node.end_lineno is not None
    indent = lines[node.lineno - 1][: node.col_offset]
    if indent.strip():  # behind an elif, or behind another statement
        return source
    return "".join([*lines[: node.lineno - 1], f"{indent}pass\n", *lines[node.end_lineno :]])


def means(source: str) -> str | None:
    """What of a file decides what it does; None where it is no Python."""
    try:
        return ast.dump(Meaning().visit(ast.parse(source)))
    except SyntaxError:
        return None


class Meaning(ast.NodeTransformer):
    """Leaves out what tells a reader or a type checker, and guards that only another fault would meet.

    Annotations, protocols, ``assert`` (in this package it tells mypy what is known) and ``zip(strict=...)``.
    """

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """An argument without its type."""
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """A function without the type that it returns."""
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        """A variable without its type."""
        node.annotation = ast.Constant(None)
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        """A protocol without what it lists."""
        if any(getattr(base, "id", "") == "Protocol" for base in node.bases):
            node.body = [ast.Pass()]
        self.generic_visit(node)
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.Pass:
        """No assertion."""
        return ast.Pass()

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """``zip`` without ``strict``."""
        if getattr(node.func, "id", "") == "zip":
            node.keywords = [one for one in node.keywords if one.arg != "strict"]
        self.generic_visit(node)
        return node


def changed(source: str, code: str) -> tuple[str, ...]:
    """The lines that differ, with - and +."""
    lines = difflib.unified_diff(source.splitlines(), code.splitlines(), lineterm="", n=0)
    return tuple(line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---"))
