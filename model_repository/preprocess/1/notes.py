"""Notes from preprocess to postprocess, about items that Triton can't carry them for.

A step of an ensemble may take what comes from a decoupled model (gemma2) or what doesn't, never both. So
what preprocess notices of an item goes past gemma2, by the request's id, in a table of fixed size: a file
that both map into memory. Each item has a note, so one that is missing means that nothing is known of it.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flags import ORDER

BUCKETS = 8192
RECORDS = 8
"""In a bucket. Where all are full of notes that nobody has taken, the oldest is written over."""
# A digest of the request's id, flags as bits, the share that was kept, a sequence number; and a checksum.
_CONTENT = struct.Struct("<14sHfQ")
_CHECKSUM = struct.Struct("<I")
_RECORD = _CONTENT.size + _CHECKSUM.size
_BUCKET = RECORDS * _RECORD
SIZE_BYTES = BUCKETS * _BUCKET
_EMPTY = bytes(_RECORD)
FILE = "notes.bin"


@dataclass(frozen=True, slots=True)
class Note:
    """``share_kept`` is that of the student's text, 0 to 1."""

    flags: tuple[str, ...]
    share_kept: float


@dataclass(frozen=True, slots=True)
class _Record:
    place: int
    digest: bytes
    bits: int
    share: float
    sequence: int


class Notes:
    """The table of one model repository, for one writer and one reader. Constant time for each item."""

    def __init__(self, repository: Path) -> None:
        """Opens the table, which is made where it is missing. Raises OSError where it can't be."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(repository / FILE, flags, 0o600)
        try:
            # Zeros, and room for them on the disk: a full disk must show here, not at a write to memory.
            os.posix_fallocate(file, 0, SIZE_BYTES)
            self._table = mmap.mmap(file, SIZE_BYTES)
        finally:
            os.close(file)
        # A writer that was loaded anew goes on where the earlier one was.
        buckets = range(0, SIZE_BYTES, _BUCKET)
        self._sequence = max(record.sequence for bucket in buckets for record in self._records(bucket))

    def write(self, request_id: str, flags: Sequence[str], share_kept: float) -> None:
        """Leave the note of an item.

        A note with the same id that nobody has taken may be that of another item still on its way: then
        nothing is known of either.
        """
        digest, bucket = _digest(request_id)
        records = self._records(bucket)
        same = [record for record in records if record.digest == digest and record.sequence]
        record = same[0] if same else min(records, key=lambda record: record.sequence)
        self._sequence += 1
        bits = sum(1 << ORDER.index(flag) for flag in flags)
        content = _CONTENT.pack(digest, bits, math.nan if same else share_kept, self._sequence)
        self._table[record.place : record.place + _RECORD] = content + _CHECKSUM.pack(zlib.crc32(content))

    def take(self, request_id: str) -> Note | None:
        """The note of the item, which is removed; None where nothing is known of it."""
        digest, bucket = _digest(request_id)
        for record in self._records(bucket):
            if record.digest == digest and record.sequence:
                self._table[record.place : record.place + _RECORD] = _EMPTY
                if math.isnan(record.share):
                    return None
                found = (flag for place, flag in enumerate(ORDER) if record.bits >> place & 1)
                return Note(tuple(found), record.share)
        return None

    def close(self) -> None:
        self._table.close()

    def _records(self, bucket: int) -> list[_Record]:
        """The records of the bucket that begins there; one that is empty or half written has sequence 0."""
        content = self._table[bucket : bucket + _BUCKET]
        records = []
        for start in range(0, _BUCKET, _RECORD):
            digest, bits, share, sequence = _CONTENT.unpack_from(content, start)
            (checksum,) = _CHECKSUM.unpack_from(content, start + _CONTENT.size)
            whole = checksum == zlib.crc32(content[start : start + _CONTENT.size])
            records.append(_Record(bucket + start, digest, bits, share, sequence if whole else 0))
        return records


def _digest(request_id: str) -> tuple[bytes, int]:
    """What stands for an id in the table, and where its bucket begins."""
    digest = hashlib.sha256(request_id.encode("utf-8", "replace")).digest()
    return digest[:14], int.from_bytes(digest[14:20], "little") % BUCKETS * _BUCKET


def open_notes(repository: Path) -> tuple[Notes | None, str]:
    """The table, or None with a sentence for the log where it can't be had: everything is unknown then."""
    try:
        return Notes(repository), ""
    except OSError as error:
        return None, (
            f"{FILE} can't be written in the model repository ({error.strerror}), so all answers will be "
            "flagged unchecked: make that folder writable."
        )
