"""The inner loop of :meth:`spacetime_env.models.screens.Palette.brighter`, compiled."""

from __future__ import annotations

from spacetime_env.compiled import compiled


@compiled
def mix(ids, before, words, words_before, numbers, out):  # type: ignore[no-untyped-def]
    """Put the mixture of two frames into ``out``.

    Args:
        ids, before: (n,) uint8 palette numbers of the frames.
        words, words_before: the same, in words of several bytes.
        numbers: (256, 256) the number of each pair's mixture, or -1.
        out: (n,) uint8, a copy of ``ids``; pixels that differ are changed.

    Returns:
        The last pixel whose pair has no number yet, or -1 if all have one.
    """
    missing, size = -1, len(ids) // len(words)
    for w in range(len(words)):
        if words[w] != words_before[w]:
            for i in range(w * size, (w + 1) * size):
                if ids[i] != before[i]:
                    number = numbers[ids[i], before[i]]
                    if number < 0:
                        missing = i
                    else:
                        out[i] = number
    return missing
