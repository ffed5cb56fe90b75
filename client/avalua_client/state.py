"""What a command needs to go on after it was ended: ids of jobs and hashes of items, never texts."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from avalua_client.errors import ConfigurationError

VERSION = 1


@dataclass
class JobRecord:
    """One job. ``key`` was sent with it; ``job_id`` is None until its answer arrived."""

    key: str
    job_id: str | None
    hashes: list[str]


@dataclass
class State:
    """A file that only its owner can read, written anew as a whole with every change."""

    path: Path
    url: str
    source: str
    """The file that is marked, by its whole path."""
    salt: str = field(default_factory=lambda: secrets.token_hex(16))
    started: float = field(default_factory=time.time)
    jobs: list[JobRecord] = field(default_factory=list)

    @classmethod
    def new(cls, url: str, source: str) -> State:
        """One for a run that begins. Nothing is written yet."""
        name = f"{_name(url, source)}-{time.time_ns():x}.json"
        return cls(folder() / name, url, source)

    @classmethod
    def latest(cls, url: str, source: str) -> State | None:
        """The one of the newest unfinished run of this file at this service."""
        found = sorted(folder().glob(f"{_name(url, source)}-*.json"), key=lambda path: path.stat().st_mtime)
        return cls.load(found[-1]) if found else None

    @classmethod
    def load(cls, path: Path) -> State:
        """Raises ConfigurationError where the file can't be used."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            assert raw["version"] == VERSION
            jobs = [JobRecord(str(job["key"]), job["job_id"], list(job["hashes"])) for job in raw["jobs"]]
            return cls(
                path, str(raw["url"]), str(raw["source"]), str(raw["salt"]), float(raw["started"]), jobs
            )
        except (OSError, ValueError, LookupError, TypeError, AssertionError):
            raise ConfigurationError(f"{path} can't be gone on with: start anew without --resume.") from None

    def hash(self, item: bytes) -> str:
        """Of an item as it is sent; only with the salt of this run."""
        return hashlib.blake2b(item, digest_size=16, key=bytes.fromhex(self.salt)).hexdigest()

    def add(self, record: JobRecord) -> None:
        self.jobs.append(record)
        self.save()

    def remove(self, record: JobRecord) -> None:
        self.jobs.remove(record)
        self.save()

    def save(self) -> None:
        """Raises ConfigurationError where it can't be written."""
        raw = {
            "version": VERSION,
            "url": self.url,
            "source": self.source,
            "salt": self.salt,
            "started": self.started,
            "jobs": [{"key": job.key, "job_id": job.job_id, "hashes": job.hashes} for job in self.jobs],
        }
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Made by mkstemp: for the owner alone from its first byte on.
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".state-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(raw, file)
                os.replace(name, self.path)  # noqa: PTH105
            except BaseException:
                with suppress(OSError):
                    os.unlink(name)  # noqa: PTH108
                raise
        except OSError as error:
            raise ConfigurationError(
                f"{self.path} can't be written ({error.strerror}): set AVALUA_STATE_DIR to a folder that can."
            ) from None

    def delete(self) -> None:
        """It is over: nothing is left to go on with."""
        with suppress(OSError):
            self.path.unlink()


def folder() -> Path:
    """Where states lie: AVALUA_STATE_DIR, or the place that the system has for such."""
    if given := os.environ.get("AVALUA_STATE_DIR"):
        return Path(given)
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "avalua"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "avalua"


def _name(url: str, source: str) -> str:
    return hashlib.blake2b(f"{url}\0{source}".encode(errors="surrogateescape"), digest_size=8).hexdigest()
