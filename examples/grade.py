"""Mark a class and watch the results arrive: ``python -m examples.grade examples/class.csv``.

With the client of ``client/``, on a CSV, XLSX, JSON or NDJSON file.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from avalua_client import AvaluaClient, AvaluaError, Batch, Result
from avalua_client.cli.output import prepare_streams
from avalua_client.tables import TableError, find_columns, prepare, read


def describe(result: Result) -> str:
    who = f"  {result.id_alumno:<8}"
    return f"{who} {result.nota}  {result.feedback}" if result.ok else f"{who} -  {result.error_message}"


async def mark(url: str, path: Path) -> None:
    """Raises AvaluaError, TableError, OSError."""
    table = read(await asyncio.to_thread(path.read_bytes), name=path.name)
    items = prepare(table, find_columns(table.columns)).items
    async with AvaluaClient(url) as client:
        if notice := (await client.health()).get("notice"):
            print(f"NOTE: {notice}")
        job = await client.submit(items)
        print(f"Job {job.job_id}: {job.total_items} texts.")
        async for event in client.stream(job.job_id):
            if isinstance(event, Batch):
                progress = event.progress
                print(f"\nBatch {event.number}: {progress.completed} of {progress.total} done")
                print("\n".join(map(describe, event.results)), flush=True)
            else:
                print(
                    f"\n{event.status}: {event.total_processed} texts in {event.total_time_s:.1f} s, "
                    f"{event.failed_items} not marked."
                )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--url", default="http://localhost:8000")
    options = parser.parse_args()
    prepare_streams()
    try:
        asyncio.run(mark(options.url, options.file))
    except BrokenPipeError:
        # Whoever read our output has gone, and has read enough: Python must not fail at its end over it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("\nNo longer watching; the job goes on.", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"{error.filename} can't be read: {error.strerror}.", file=sys.stderr)
        return 2
    except (AvaluaError, TableError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
