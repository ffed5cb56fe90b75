"""Mark a class and watch the results arrive: ``python3 examples/grade.py examples/class.json``.

Standard library only, as an example of how little a client needs. The file holds ``{"items": [...]}``.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0
"""The server sends a comment every 15 s, so a silence this long means that it is gone."""
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""The service is yours: what the environment says of proxies is for the outside."""


def call(url: str, body: bytes | None = None) -> dict[str, Any]:
    """GET ``url``, or POST ``body`` to it; the JSON answer."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    with DIRECT.open(request, timeout=TIMEOUT_S) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def events(url: str) -> Iterator[dict[str, Any]]:
    """The events of a stream, up to the final one."""
    with DIRECT.open(url, timeout=TIMEOUT_S) as response:
        for line in response:
            if line.startswith(b"data:"):
                yield json.loads(line.removeprefix(b"data:"))


def describe(result: dict[str, Any]) -> str:
    who = f"  {result['id_alumno']:<8}"
    if result["status"] == "ok":
        return f"{who} {result['nota']}  {result['feedback']}"
    return f"{who} -  not marked: {result['error']['message']}"


def why(error: urllib.error.HTTPError) -> str:
    """The sentence in an answer that refuses, or whatever else it says."""
    answer = error.read().decode(errors="replace")
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, LookupError, TypeError):
        return answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--url", default="http://localhost:8000")
    args = parser.parse_args()
    url = args.url.rstrip("/")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal need not know every letter
    try:
        body = args.file.read_bytes()
    except OSError as error:
        print(f"{args.file} can't be read: {error.strerror}.", file=sys.stderr)
        return 2
    try:
        if notice := call(f"{url}/health").get("notice"):
            print(f"NOTE: {notice}")
        job = call(f"{url}/evaluate", body)
        print(f"Job {job['job_id']}: {job['total_items']} texts.")
        for event in events(url + job["stream_url"]):
            data = event["data"]
            if event["event"] == "batch_complete":
                progress = data["progress"]
                print(f"\nBatch {data['batch_number']}: {progress['completed']} of {progress['total']} done")
                print("\n".join(describe(result) for result in data["results"]))
            else:
                print(
                    f"\n{data['status']}: {data['total_processed']} texts "
                    f"in {data['total_time_seconds']:.1f} s, "
                    f"{data['failed_items']} not marked."
                )
                return 0
    except urllib.error.HTTPError as error:
        print(f"The service refused: {why(error)}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read our output has gone, and has read enough: Python must not fail at its end over it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print(
            f"\nNo longer watching; the job goes on: see {url}/docs for how to ask for it.", file=sys.stderr
        )
        return 130
    except (OSError, http.client.IncompleteRead) as error:
        print(f"{url} does not answer ({error}): is the service running?", file=sys.stderr)
        return 1
    except (http.client.HTTPException, ValueError, AttributeError, LookupError, TypeError) as error:
        kind = type(error).__name__  # its text may be anything that was answered
        print(f"{url} does not answer as Avalua does ({kind}): is it the right address?", file=sys.stderr)
        return 1
    print(f"The service ended before the job did: see {url}/results/{job['job_id']} later.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
