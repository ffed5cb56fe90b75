"""``avalua``: reads the command line, runs one command, and turns what goes wrong into one line."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import warnings
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from avalua_client.address import DEFAULT_URL, read_address
from avalua_client.cli.arguments import FORMATS, parser
from avalua_client.cli.evaluate import ALL_GOOD, INTERRUPTED, NO_SERVICE, SOME_FAILED, UNUSABLE, Run
from avalua_client.cli.output import duration, give, leave_pipe, plain, prepare_streams, say
from avalua_client.client import AvaluaClient
from avalua_client.errors import ApiError, AvaluaError, ConfigurationError
from avalua_client.models import Status
from avalua_client.retrying import ONE_TRY
from avalua_client.tables import TableError

HINTS = {
    "respuesta": " Here: --column respuesta=B.",
    "curso": " Here: --column curso=B, or --curso '3r ESO'.",
    "consigna": " Here: --column consigna=B, or --consigna 'Explica ...'.",
}
UNUSABLE_STATUSES = frozenset({400, 404, 410, 413, 415, 422})


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status, for the command ``avalua``."""
    prepare_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = parser().parse_args(arguments)
    warnings.showwarning = _show_warning
    try:
        return _run(options, arguments)
    except BrokenPipeError:
        leave_pipe()
        return SOME_FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except TableError as error:
        hint = HINTS.get(str(error.details.get("field")), "") if error.code == "missing_column" else ""
        say(f"avalua: {error}{hint}")
        return UNUSABLE
    except ConfigurationError as error:
        say(f"avalua: {error}")
        return UNUSABLE
    except ApiError as error:
        say(f"avalua: {error}")
        return UNUSABLE if error.status in UNUSABLE_STATUSES else NO_SERVICE
    except AvaluaError as error:
        say(f"avalua: {error}")
        return NO_SERVICE
    except OSError as error:
        say(f"avalua: {error.filename or 'a file'} can't be used: {error.strerror or error}.")
        return UNUSABLE


def _run(options: argparse.Namespace, argv: Sequence[str]) -> int:
    url = read_address(options.url or os.environ.get("AVALUA_URL") or DEFAULT_URL)
    api_key = _api_key(options.api_key_file)
    if options.command == "evaluate":
        return Run(options, url, api_key, argv).execute()

    async def ask(question: Callable[[AvaluaClient], Awaitable[Any]]) -> Any:
        async with AvaluaClient(url, api_key, retry=ONE_TRY) as client:
            return await question(client)

    if options.command == "health":
        return _health(asyncio.run(ask(lambda client: client.health())), options)
    if options.command == "status":
        return _status(asyncio.run(ask(lambda client: client.status(options.job_id))), options)
    if options.command == "cancel":
        return _status(asyncio.run(ask(lambda client: client.cancel(options.job_id))), options)
    form = _form(options)
    content = asyncio.run(ask(lambda client: client.export(options.job_id, form, locale=options.locale)))
    return _deliver(content, options.output)


def _api_key(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get("AVALUA_API_KEY") or None
    return path.read_text(encoding="utf-8").strip() or None


def _health(answer: dict[str, Any], options: argparse.Namespace) -> int:
    healthy = answer["status"] == "healthy"
    if options.json:
        give(json.dumps(answer, ensure_ascii=False))
    else:
        words = [
            plain(str(answer["status"])),
            f"model {'loaded' if answer.get('model_loaded') else 'not loaded'}",
        ]
        words += [f"{answer.get('active_jobs')} jobs running", f"{answer.get('queued_jobs')} waiting"]
        if answer.get("notice"):
            words.append(plain(str(answer["notice"])))
        give(", ".join(words))
    return ALL_GOOD if healthy else SOME_FAILED


def _status(status: Status, options: argparse.Namespace) -> int:
    if options.json:
        give(json.dumps(status.raw, ensure_ascii=False))
        return ALL_GOOD
    progress = status.progress
    words = (
        f"{plain(status.status)}: {progress.completed} of {progress.total}, {status.failed_items} not marked"
    )
    if not status.ended and progress.remaining_s and progress.completed:
        words += f", about {duration(progress.remaining_s)} left"
    give(words)
    return ALL_GOOD


def _form(options: argparse.Namespace) -> str:
    suffix = options.output.suffix.lower().lstrip(".") if options.output else "json"
    form = options.format or {"jsonl": "ndjson"}.get(suffix, suffix)
    if form not in FORMATS:
        raise ConfigurationError(
            f"{options.output}: the name must end in one of {', '.join(FORMATS)}, or say --format."
        )
    return str(form)


def _deliver(content: bytes, output: Path | None) -> int:
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        output.write_bytes(content)
        say(f"{output}: {len(content)} bytes")
    return ALL_GOOD


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    say(f"avalua: {message}")
