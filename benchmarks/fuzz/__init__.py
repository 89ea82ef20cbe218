"""Files as an attacker or a broken disk writes them, and whether loading them ends in a sentence of this package.

``python -m benchmarks.fuzz`` makes cases of each kind of input in :data:`benchmarks.fuzz.kinds.KINDS`, loads each in a
process of its own with limits, and judges what happened (:mod:`benchmarks.fuzz.judge`). A case follows from the seed,
its kind and its number alone, so ``--replay KIND:NUMBER`` shows it again.
"""
