"""What a command needs to go on after it was ended: ids of jobs and hashes of items, never texts."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avalua_client.errors import ConfigurationError

VERSION = 2
SUFFIX = ".ndjson"


@dataclass
class JobRecord:
    """One job. ``key`` was sent with it; ``job_id`` is None until its answer arrived."""

    key: str
    job_id: str | None
    hashes: list[str]


@dataclass
class State:
    """A file that only its owner can read: one line for each thing that happened, written when it does."""

    path: Path
    url: str
    source: str
    """The file that is marked, by its whole path."""
    salt: str = field(default_factory=lambda: secrets.token_hex(16))
    jobs: list[JobRecord] = field(default_factory=list)
    _begun: bool = False

    @classmethod
    def new(cls, url: str, source: str) -> State:
        """One for a run that begins. Nothing is written yet."""
        name = f"{_name(url, source)}-{time.time_ns():x}{SUFFIX}"
        return cls(folder() / name, url, source)

    @classmethod
    def exists(cls, url: str, source: str) -> bool:
        """Whether a run of this file at this service is unfinished."""
        return any(folder().glob(f"{_name(url, source)}-*{SUFFIX}"))

    @classmethod
    def latest(cls, url: str, source: str) -> State | None:
        """The one of the newest unfinished run of this file at this service."""
        found = sorted(
            folder().glob(f"{_name(url, source)}-*{SUFFIX}"), key=lambda path: path.stat().st_mtime
        )
        return cls.load(found[-1]) if found else None

    @classmethod
    def load(cls, path: Path) -> State:
        """Raises ConfigurationError where the file can't be used."""
        try:
            text = path.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1]
            head, *events = map(json.loads, whole.splitlines())
            if whole != text:  # the machine stopped in the middle of a line
                os.truncate(path, len(whole.encode()))
            assert head["version"] == VERSION
            bytes.fromhex(str(head["salt"]))
            state = cls(path, str(head["url"]), str(head["source"]), str(head["salt"]), _begun=True)
            for event in events:
                state._replay(event)
        except (OSError, ValueError, LookupError, TypeError, AssertionError, StopIteration, AttributeError):
            raise ConfigurationError(f"{path} can't be gone on with: start anew without --resume.") from None
        return state

    def hash(self, item: bytes) -> str:
        """Of an item as it is sent; only with the salt of this run."""
        return hashlib.blake2b(item, digest_size=16, key=bytes.fromhex(self.salt)).hexdigest()

    def add(self, record: JobRecord) -> None:
        """A job is about to be sent."""
        self.jobs.append(record)
        self._write({"sent": record.key, "hashes": record.hashes})

    def confirm(self, record: JobRecord, job_id: str) -> None:
        """The service has it, under this id."""
        record.job_id = job_id
        self._write({"taken": record.key, "job_id": job_id})

    def remove(self, record: JobRecord) -> None:
        """It was refused."""
        self.jobs.remove(record)
        self._write({"refused": record.key})

    def forget(self, record: JobRecord, indexes: Sequence[int]) -> None:
        """These items have no result there, and never will: they are not looked for there again."""
        for index in indexes:
            record.hashes[index] = ""
        self._write({"forgotten": record.key, "indexes": list(indexes)})

    def delete(self) -> None:
        """It is over: nothing is left to go on with."""
        with suppress(OSError):
            self.path.unlink()

    def _replay(self, event: dict[str, Any]) -> None:
        if "sent" in event:
            self.jobs.append(JobRecord(str(event["sent"]), None, [str(one) for one in event["hashes"]]))
            return
        key = event.get("taken") or event.get("refused") or event["forgotten"]
        record = next(job for job in self.jobs if job.key == key)
        if "taken" in event:
            record.job_id = str(event["job_id"])
        elif "refused" in event:
            self.jobs.remove(record)
        else:
            for index in event["indexes"]:
                record.hashes[index] = ""

    def _write(self, event: dict[str, Any]) -> None:
        """Raises ConfigurationError where it can't be written."""
        lines = [json.dumps(event)]
        if not self._begun:
            head = {"version": VERSION, "url": self.url, "source": self.source, "salt": self.salt}
            lines.insert(0, json.dumps(head))
        try:
            if not self._begun:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # For the owner alone from its first byte on.
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ConfigurationError(
                f"{self.path} can't be written ({error.strerror}): set AVALUA_STATE_DIR to a folder that can."
            ) from None
        self._begun = True


def folder() -> Path:
    """Where states lie: AVALUA_STATE_DIR, or the place that the system has for such."""
    if given := os.environ.get("AVALUA_STATE_DIR"):
        return Path(given)
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "avalua"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "avalua"


def _name(url: str, source: str) -> str:
    return hashlib.blake2b(f"{url}\0{source}".encode(errors="surrogateescape"), digest_size=8).hexdigest()
