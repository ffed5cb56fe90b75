"""``python -m chaos.orchestrator``: the real one, with a clock to be moved and maybe a bug built in."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from chaos.clock import follow


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos.orchestrator", description=__doc__)
    parser.add_argument("--clock", type=Path, help="the file that says how wrong its clock is")
    parser.add_argument("--plant", help="the bug, by its name in chaos.planted")
    options = parser.parse_args()
    if options.clock is not None:
        follow(options.clock)
    # Imported now, so that nothing has the true clock.
    from chaos.planted import PLANTS  # noqa: PLC0415
    from orchestrator.__main__ import main as run  # noqa: PLC0415

    if options.plant is not None:
        PLANTS[options.plant]()
    return run()


if __name__ == "__main__":
    sys.exit(main())
