"""Show what a SPACE-Time model sees: ``python load_model.py --help``.

python load_model.py --model pong --agent agents/pong-ppo --out look
python load_model.py --model models/pong --image picture.png
"""

from __future__ import annotations

import sys

from spacetime_env.viewer import main

if __name__ == "__main__":
    sys.exit(main())
