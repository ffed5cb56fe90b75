"""Mark a class and watch the results arrive: ``python3 examples/grade.py examples/class.json``.

Standard library only, as an example of how little a client needs. The file holds ``{"items": [...]}``.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECONNECT_S = 60.0
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
    """The events of a stream, up to the final one; goes on behind the last one where the connection breaks.

    Raises OSError where it can't for a minute.
    """
    last = "0"
    broken_at = None
    while True:
        request = urllib.request.Request(url, headers={"Last-Event-ID": last})  # noqa: S310
        try:
            with DIRECT.open(request, timeout=TIMEOUT_S) as response:
                for line in response:
                    if line.startswith(b"id:"):
                        last = line.removeprefix(b"id:").strip().decode()
                    if line.startswith(b"data:"):
                        broken_at = None
                        event = json.loads(line.removeprefix(b"data:"))
                        yield event
                        if event["event"] == "complete":
                            return
        except urllib.error.HTTPError as error:
            if error.code not in (502, 503):
                raise
        except (OSError, http.client.HTTPException):
            pass  # the service is away: it may be starting again
        broken_at = broken_at or time.monotonic()
        if time.monotonic() - broken_at > RECONNECT_S:
            raise ConnectionError("it went away before the job was done, which goes on when it runs again")
        time.sleep(1)


def describe(result: dict[str, Any]) -> str:
    who = f"  {result['id_alumno']:<8}"
    if result["status"] == "ok":
        return f"{who} {result['nota']}  {result['feedback']}"
    return f"{who} -  not marked: {result['error']['message']}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--url", default="http://localhost:8000")
    args = parser.parse_args()
    try:
        body = args.file.read_bytes()
    except OSError as error:
        print(f"{args.file} can't be read: {error.strerror}.", file=sys.stderr)
        return 2
    try:
        if notice := call(f"{args.url}/health").get("notice"):
            print(f"NOTE: {notice}")
        job = call(f"{args.url}/evaluate", body)
        print(f"Job {job['job_id']}: {job['total_items']} texts.", flush=True)
        for event in events(args.url + job["stream_url"]):
            show(event)
    except urllib.error.HTTPError as error:
        print(f"The service refused: {why(error)}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read our output has gone, and has read enough: Python must not fail at its end over it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(
            f"{args.url} does not answer ({error}): start it with `make run`, or name it with --url.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print(f"\nNo longer watching; jobs go on: {args.url}/docs says how to ask for one.", file=sys.stderr)
        return 130
    return 0


def show(event: dict[str, Any]) -> None:
    data = event["data"]
    if event["event"] == "batch_complete":
        progress = data["progress"]
        print(f"\nBatch {data['batch_number']}: {progress['completed']} of {progress['total']} done")
        print("\n".join(describe(result) for result in data["results"]), flush=True)
    else:
        print(
            f"\n{data['status']}: {data['total_processed']} texts in {data['total_time_seconds']:.1f} s, "
            f"{data['failed_items']} not marked.",
            flush=True,
        )


def why(error: urllib.error.HTTPError) -> str:
    """The sentence in an answer that refuses, or what else it says."""
    answer = error.read().decode(errors="replace")
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, LookupError, TypeError):
        return f"{error.code} {answer[:300]}"


if __name__ == "__main__":
    sys.exit(main())
