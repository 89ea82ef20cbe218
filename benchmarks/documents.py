"""``python -m benchmarks.documents``: every figure in README.md and docs/*.md beside its card, table or code.

Prints what differs; ``--write`` puts the figures of today's cards and results into the pages. What a figure comes from
is in benchmarks/claims.py. Run it after ``python -m benchmarks``, ``.cards`` and ``.games``.

A passage between ``<!-- history -->`` and ``<!-- /history -->`` is of a past day, and is not compared.
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks import claims, shapes, sources
from benchmarks.claims import F1, Value
from benchmarks.sources import ROOT, of_game

PAGES = ("README.md", "docs/guide.md", "docs/model.md", "docs/games.md", "docs/variants.md")
RESULT_PAGES = ("docs/games.md", "docs/variants.md")  # each is what a benchmark wrote, so most figures come from itself
GAMES, VARIANTS = RESULT_PAGES
# Columns of docs/games.md that a card has too.
COLUMNS = {1: F1, 2: "F1 at IoU 0.75", 3: "F1 by centre distance", 6: "F1 of the motion targets themselves",
           8: "16-shot accuracy, mean of 5 draws (spread)"}  # fmt: skip
ROUNDED = 0.00005  # cards have four digits
FIGURE = rf"({sources.NUMBER}|[A-Za-z]+)"


@dataclass(frozen=True)
class Figure:
    """A figure in the text of a page, and what it should be.

    Attributes:
        start, end: where it is in the text.
        tolerance: how far its source itself may be off, beside the rounding of the page.
    """

    start: int
    end: int
    shown: str
    value: Value
    source: str
    tolerance: float = 0.0

    @property
    def right(self) -> str:
        """As it should stand there; as it does where that is right."""
        if isinstance(self.value, str) or not re.fullmatch(sources.NUMBER, self.shown):
            return str(self.value)
        digits = len(self.shown.partition(".")[2])
        off = abs(float(self.shown.replace(",", "")) - self.value)
        if self.tolerance and off <= 0.5 * 10**-digits + self.tolerance:
            return self.shown
        comma, sign = "," if "," in self.shown else "", "+" if self.shown[0] == "+" else ""
        text = f"{self.value:{sign}{comma}.{digits}f}"
        return text.replace("0.", ".", 1) if self.shown.startswith(".") else text


def read(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def figures(page: str, text: str) -> tuple[list[Figure], list[str]]:
    """The figures of a page that have a source, in order, and sentences on phrases that are not there any more."""
    found, missing = [], []
    for claim in claims.CLAIMS:
        if claim.page != page:
            continue
        pattern = r"\s+".join(re.escape(word) for word in claim.phrase.split()).replace(re.escape("{}"), FIGURE)
        match = re.search(pattern, text)
        if match is None:
            missing.append(f"{page} does not say {claim.phrase!r} any more: mend benchmarks/claims.py.")
            continue
        for i, value in enumerate(claim.values(), 1):
            found.append(Figure(*match.span(i), match[i], value, claim.phrase))
    if page == GAMES:
        found += games_figures(text)
    if page == VARIANTS:
        found += variant_figures(text)
    return sorted(found, key=lambda figure: figure.start), missing


def cells(line: re.Match[str]) -> list[tuple[int, int, str]]:
    """Start, end and text of each cell of a row of a table, without stars."""
    found, at = [], line.start()
    for part in line[0].split("|"):
        text = part.strip(" *")
        start = at + part.find(text)
        found.append((start, start + len(text), text))
        at += len(part) + 1
    return found[1:-1]


def games_figures(text: str) -> Iterator[Figure]:
    """What docs/games.md and the cards both have: a row for each game, means, and recalls of classes."""
    means: dict[int, list[float]] = {column: [] for column in COLUMNS}
    for line in re.finditer(r"(?m)^\| \[(\w+)\]\(#.*$", text):
        found, model = cells(line), sources.singles()[line[1]]
        for column, key in COLUMNS.items():
            value = of_game(model)[key]
            means[column].append(value)
            yield Figure(*found[column], value, f"models/{model}/CARD.md: {key}", ROUNDED)
        trained = sources.described(model)["trained"]
        minutes = (float(trained["seconds_data"]) + float(trained["seconds_training"])) / 60
        yield Figure(*found[-1], minutes, f"models/{model}/model.yaml: seconds", 0.001)
    if line := re.search(r"(?m)^\| \*\*mean\*\*.*$", text):  # of the first table; others have other columns
        for column, values in means.items():
            mean = sum(values) / len(values)
            yield Figure(*cells(line)[column], mean, f"mean over the cards: {COLUMNS[column]}", ROUNDED)
    for part in re.finditer(r"(?ms)^## (\w+)$.*?(?=^## |\Z)", text):
        card = of_game(sources.singles()[part[1]]) if part[1] in sources.singles() else {}
        for line in re.compile(r"(?m)^\| (\w+) \| \d.*$").finditer(text, *part.span()):
            key = f"recall of {line[1]}"
            if key in card:
                yield Figure(*cells(line)[2], card[key], f"card of {part[1]}: {key}", ROUNDED)


def variant_figures(text: str) -> Iterator[Figure]:
    """What each step changes in docs/variants.md: the difference of two means in the table above it."""
    each, steps = text.partition("### What each step changes")[::2]
    means = {(c[0][2], c[1][2]): c[2:] for line in re.finditer(r"(?m)^\| \w+ \| space.*$", each) if (c := cells(line))}
    names = ("space", "space+motion", "space+motion+continuity")
    for line in re.compile(r"(?m)^\| (\w+) \| \+ (\w+) \|.*$").finditer(text, len(text) - len(steps)):
        after = next(i for i, name in enumerate(names) if name.endswith(line[2]))
        for (start, _, shown), a, b in zip(
            cells(line)[2:], means[line[1], names[after - 1]], means[line[1], names[after]], strict=True
        ):
            own = re.match(r"[-+]?[\d.]+", shown)
            if own is None or any(cell[2] == "-" or "n =" in cell[2] for cell in (a, b)):
                continue
            digits = len(own[0].partition(".")[2])
            value = sources.number(b[2]) - sources.number(a[2])
            yield Figure(start, start + len(own[0]), own[0], value, "difference of the means above", 10.0**-digits)


def blocks(page: str, text: str) -> Iterator[tuple[int, int, str]]:
    """Start and end of each part of a page that is made as a whole, and what it should be."""
    for (of, name), make in claims.BLOCKS.items():
        if of == page:
            match = re.search(rf"<!-- figures: {name} -->\n(.*?)<!-- /figures -->", text, re.S)
            if match is None:
                raise SystemExit(f"{page}: expected <!-- figures: {name} --> and <!-- /figures -->.")
            right = f"\n{made(name, make)}\n\n"
            near = name in claims.ROUNDED and alike(match[1], right)
            yield *match.span(1), match[1] if near else right
    if page == GAMES:
        match = re.search(rf"^{shapes.TITLE}\n.*?(?=^In the tables)", text, re.S | re.M)
        if match is None:
            raise SystemExit(f"{page}: expected {shapes.TITLE!r} before the tables of classes.")
        yield *match.span(), f"{made('shapes', shapes.page)}\n"


def alike(shown: str, right: str) -> bool:
    """Whether two texts are the same but for a unit in the last digit of numbers with two digits behind the point."""
    if re.sub(sources.NUMBER, "0", shown) != re.sub(sources.NUMBER, "0", right):
        return False
    pairs = zip(re.findall(sources.NUMBER, shown), re.findall(sources.NUMBER, right), strict=True)
    return all(abs(float(a) - float(b)) < 0.011 for a, b in pairs)


@functools.cache
def made(name: str, make: claims.Callable[[], str]) -> str:
    """A block; made once."""
    return make()


def mended(page: str, text: str) -> str:
    """The page with all figures as they should be."""
    parts = [(figure.start, figure.end, figure.right) for figure in figures(page, text)[0]]
    parts += list(blocks(page, text))
    for start, end, right in sorted(parts, reverse=True):
        text = text[:start] + right + text[end:]
    return text


def problems(page: str, text: str) -> list[str]:
    """Sentences on what differs from its source."""
    found, said = figures(page, text)
    for one in found:
        if one.right != one.shown:
            line = text.count("\n", 0, one.start) + 1
            said.append(f"{page}, line {line}: {one.shown} should be {one.right} ({one.source}).")
    for start, end, right in blocks(page, text):
        if text[start:end] != right:
            line = text.count("\n", 0, start) + 1
            said.append(f"{page}, line {line}: the part from here should be:\n{right}")
    return said


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, or write. Exit status 1 where something differs, or a phrase is gone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.documents", description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the figures of their sources into the pages")
    asked = parser.parse_args(argv)
    said = []
    for page in PAGES:
        text = read(page)
        if asked.write and (better := mended(page, text)) != text:
            (ROOT / page).write_text(better, encoding="utf-8")
            print(f"wrote {page}")
        said += problems(page, read(page))
    print("\n".join(said) or "Every figure is as its source has it.")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
