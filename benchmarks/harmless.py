"""Numbers in the pages that are no figures: what need not be compared with a card, and why.

Code, commands, links and passages marked as history are left out before. Every other number is compared with a source
(benchmarks/claims.py) or is one of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Pattern -> why it is harmless.
HARMLESS = {
    r"(?:Python|macOS|numpy|GPL-|SHA-) ?\d[\d.]*(?: to \d[\d.]*)?": "a version",
    r"\[[-\d., ]+\]": "an interval",
    r"et al\. \d{4}": "the year of a paper",
    r"\[\d{4}\.\d{5}\b": "a paper's number at arXiv",
    r"\b\d+ x \d+\b": "a size in pixels or of a kernel",
    r"-10 to 10": "the range of z_what",
    r"-1 (?:\(left,\stop\) )?to 1\b|\b0 (?:or|to) 1\b": "the range of a coordinate or a feature",
    r"presence [01]\b|\b1 where the object is seen in this frame(?:, or hidden behind one that is; else 0)?": "a value "
    "of a feature",
    r"off by 0\.4 pixels has an IoU of 0\.43 before and 1 after": "arithmetic: 0.6 / 1.4",
    r"IoU (?:of )?0\.\d(?: to 0\.\d)?": "a threshold of the metric",
    r"Of 16 shards the three play 6, 5 and 5": "arithmetic",
    r"for 2 steps on average": "the policy sticky-random-2",
    r"first 7 columns": "the number of features, compared by benchmarks/shapes.py",
    r"1 to 64 z_what per class|spread of 5 draws|some 256 frames": "settings of evaluate.py",
    r"\bPong has 6\b|all 18 actions": "sets of actions",
    r"with 0 to this many|takes 2 where|sets 1 \|": "values of settings",
    r"K = 3\b|about 0\.03|at tau 2\.5|the 16 frames a GPU held|from 0, and the scale std's 1e-15": "the published code",
    r"NTSC's 128 colours|A frame is 160 wide": "properties of the console",
    r"4096 stacks|most games have 2048": "settings of configs/, compared by tests/test_documents.py",
    r"\(n, \d\)|\(H, W, 3\)|uint8|float32": "a shape or a type",
    r"(?m)^\d+\. ": "the number of an item of a list",
}
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?!\w)")
SKIPPED = (
    r"(?s)<!-- history -->.*?<!-- /history -->",
    r"(?ms)^```.*?^```",
    r"`[^`]*`",
    r"\]\([^)]*\)",
    r"<!--.*?-->",
)


def unsourced(text: str, covered: Iterable[tuple[int, int]]) -> list[tuple[int, str]]:
    """Line and surroundings of each number that has no source and is of no harmless kind.

    Args:
        text: of a page.
        covered: start and end of what is compared with a source.
    """
    left = list(text)

    def blank(start: int, end: int) -> None:
        left[start:end] = [c if c == "\n" else " " for c in left[start:end]]

    for start, end in covered:
        blank(start, end)
    for pattern in (*SKIPPED, *HARMLESS):
        for match in re.finditer(pattern, "".join(left)):
            blank(*match.span())
    rest = "".join(left)
    return [
        (rest.count("\n", 0, match.start()) + 1, text[max(0, match.start() - 30) : match.end() + 30].replace("\n", " "))
        for match in NUMBER.finditer(rest)
    ]
