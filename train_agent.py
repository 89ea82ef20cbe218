"""Train a Stable-Baselines3 agent on the objects that a model finds: ``python train_agent.py --help``.

python train_agent.py --algo ppo --env SpaceTime/Pong-v5 --seed 0 -P
"""

from __future__ import annotations

import sys

from spacetime_env.commands.train_agent import main

if __name__ == "__main__":
    sys.exit(main())
