"""Measure a model on recorded frames with ground truth: ``python evaluate.py --help``.

python evaluate.py --model models/pong
"""

from __future__ import annotations

import sys

from spacetime_env.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
