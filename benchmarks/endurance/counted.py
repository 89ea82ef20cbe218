"""``train_agent.py`` that notes how many env steps it has done: ``python -m benchmarks.endurance.counted FILE ...``.

A kill leaves no other trace of steps that were not saved.
"""

from __future__ import annotations

import os
import sys

from spacetime_env.agent.supervisor import Supervisor
from spacetime_env.commands.train_agent import main


class Counted(Supervisor):
    """As the supervisor, with a file."""

    file = -1

    def _on_step(self) -> bool:
        os.pwrite(self.file, f"{self.num_timesteps:<12}".encode(), 0)
        return super()._on_step()


if __name__ == "__main__":
    from spacetime_env.agent import train

    Counted.file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
    train.Supervisor = Counted  # type: ignore[misc]
    sys.exit(main(sys.argv[2:]))
