"""``python3 -m triton_common.healthcheck``: exits 0 when the server grades, 1 when it doesn't.

Asks for a real inference: readiness alone can stay true with a dead model process.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request

PROBE = {"curso": "1r ESO", "consigna": "Prova de funcionament", "respuesta": "Prova."}
TIMEOUT_S = 4.0


def main() -> int:
    port = os.environ.get("TRITON_HTTP_PORT") or "8003"
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v2/models/evaluate/generate",
        json.dumps(PROBE).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
            return 0
    except (urllib.error.URLError, OSError) as error:
        print(f"Triton does not grade: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
