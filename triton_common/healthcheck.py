"""``python3 -m triton_common.healthcheck``: exits 0 when the server grades, 1 when it doesn't."""

from __future__ import annotations

import os
import sys

from triton_common.probe import NotGradingError, Probe
from triton_common.server import read_port

TIMEOUT_S = 4.0


def main() -> int:
    try:
        Probe(read_port(os.environ, "TRITON_HTTP_PORT", 8003), TIMEOUT_S).ask()
    except NotGradingError as error:
        print(f"Triton does not grade: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
