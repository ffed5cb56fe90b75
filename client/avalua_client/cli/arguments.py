"""The command line's words."""

from __future__ import annotations

import argparse
from pathlib import Path

from avalua_client import __version__
from avalua_client.address import DEFAULT_URL

EXIT_CODES = """exit status: 0 all marked; 1 done, and some texts have no mark; 2 the command or the file
can't be used, nothing was sent; 3 the service refused or can't be reached; 130 interrupted (the job goes
on, see --resume)"""
FORMATS = ("json", "csv", "xlsx", "ndjson")


def parser() -> argparse.ArgumentParser:
    """Of ``avalua`` and its commands."""
    whole = argparse.ArgumentParser(
        prog="avalua", description="Have texts marked by an Avalua service.", epilog=EXIT_CODES
    )
    whole.add_argument("--version", action="version", version=f"avalua {__version__}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_evaluate(commands)
    for name, words in (("status", "how far a job is"), ("cancel", "end a job; what is finished stays")):
        one = commands.add_parser(name, help=words, description=words)
        one.add_argument("job_id", metavar="JOB")
        _add_common(one)
    results = commands.add_parser(
        "results", help="what is finished of a job", description="What is finished."
    )
    results.add_argument("job_id", metavar="JOB")
    results.add_argument(
        "-o", "--output", type=Path, help="a file, whose name says its form; else JSON is printed"
    )
    results.add_argument("--format", choices=FORMATS, help="the form, where the name doesn't say")
    results.add_argument("--locale", help="separator and decimal mark of a CSV: ca, es, en-GB ...")
    _add_common(results)
    _add_common(commands.add_parser("health", help="whether the service can mark", description="Asks once."))
    return whole


def _add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    words = "mark the texts of a file"
    one = commands.add_parser("evaluate", help=words, description=words, epilog=EXIT_CODES)
    one.add_argument("file", help="CSV, XLSX, JSON or NDJSON; - reads the standard input")
    one.add_argument(
        "-o", "--output", type=Path, help="what to write: .xlsx, .csv, .json, .ndjson (FILE-marks by default)"
    )
    one.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help="which column holds respuesta, id_alumno, curso or consigna: its letter, number or heading",
    )
    one.add_argument("--curso", help="the course of all texts, where the file has no such column")
    one.add_argument("--consigna", help="the assignment of all texts, where the file has no such column")
    one.add_argument("--kind", choices=FORMATS, help="what the file is, where its name doesn't say")
    one.add_argument("--encoding", help="of a CSV, where another one was found: cp1252, utf-8 ...")
    one.add_argument("--separator", help="of a CSV, where another one was found; tab is a word for it")
    one.add_argument("--sheet", help="of a workbook, where it is not the first one")
    one.add_argument(
        "--locale", default="ca", help="of a CSV that is written: ca (the default), es, en-GB ..."
    )
    one.add_argument("--priority", choices=("interactive", "normal", "bulk"), help="beside others' jobs")
    one.add_argument("--force", action="store_true", help="replace the output file if it is there")
    one.add_argument("--resume", action="store_true", help="go on with the last unfinished run of this file")
    _add_common(one)


def _add_common(one: argparse.ArgumentParser) -> None:
    one.add_argument("--url", help=f"of the service; else AVALUA_URL, or {DEFAULT_URL}")
    one.add_argument(
        "--api-key-file", type=Path, help="a file with the key; else AVALUA_API_KEY. Never sent over http://"
    )
    one.add_argument("--json", action="store_true", help="print one JSON object")
