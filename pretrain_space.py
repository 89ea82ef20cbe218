"""Train a SPACE-Time model: ``python pretrain_space.py --config configs/pong.yaml``."""

import sys

from spacetime_env.commands.pretrain import main

if __name__ == "__main__":
    sys.exit(main())
