"""Record frames of a game: ``python create_dataset.py --help``.

python create_dataset.py --game Pong --split train --agent random --size 1024
"""

from __future__ import annotations

import sys

from spacetime_env.commands.record import main

if __name__ == "__main__":
    sys.exit(main())
