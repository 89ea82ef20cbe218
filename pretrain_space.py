"""Train a SPACE-Time model: ``python pretrain_space.py --help``.

python pretrain_space.py --config configs/pong.yaml
"""

from __future__ import annotations

import sys

from spacetime_env.commands.pretrain import main

if __name__ == "__main__":
    sys.exit(main())
