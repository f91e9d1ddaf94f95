"""What ingestion has done already, so that a run that was killed, or follows a change, does only what is missing.

A finished case lies in the work folder until all are, then moves to the volumes. Beside it stands a note: a signature
of the names, sizes and times of its input files, and the digest of what was made of them. Contents of the input are not
hashed: reading 770,000 files takes hours, asking for their times takes a minute.
"""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pre2post.cohort.case import CASE, read_case
from pre2post.core.errors import InputError
from pre2post.core.files import read_json, write_json
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.ingest_case import IngestResult
from pre2post.ingest.study import image_files


class IngestCache:
    """Finished cases in `work` and in `volumes`. `settings` and `code`, the files whose change makes all stale, have a
    work folder of their own below `root`, so that an experiment with others does not undo this one's."""

    def __init__(self, root: Path, volumes: Path, settings: dict, code: Iterable[Path]):
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for file in sorted(code):
            digest.update(file.name.encode() + file.read_bytes())
        self.work, self.volumes = root / digest.hexdigest()[:16], volumes
        self.work.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits until no other process ingests into this work folder, as queued experiments may."""
        with open(self.work / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def done(self, entry: CaseSource) -> IngestResult | None:
        """The result of a case, if its volumes are there and nothing changed since."""
        try:
            note = read_json(self._note(entry))
            if note["signature"] != self._signature(entry):
                return None
            for folder in (self.work / entry.case, self.volumes / entry.case):
                if (folder / CASE).is_file() and _digest(folder / CASE) == note["made"]:
                    case, row = read_case(folder)
                    roles = (*case.phases, "mask") if case.has_mask else case.phases
                    return IngestResult(case, row) if all(case.path(role).is_file() for role in roles) else None
        except (InputError, KeyError, TypeError):
            pass  # no note, or a damaged one: do the case again
        return None

    def write(self, entry: CaseSource) -> None:
        """Notes that the case lies finished in the work folder."""
        write_json(
            self._note(entry), {"signature": self._signature(entry), "made": _digest(self.work / entry.case / CASE)}
        )

    def forget(self, entry: CaseSource) -> None:
        """Removes what is left of a case in the work folder."""
        self._note(entry).unlink(missing_ok=True)
        shutil.rmtree(self.work / entry.case, ignore_errors=True)

    def move(self, cases: Iterable[str]) -> None:
        """Puts the finished cases among the volumes, in the place of older ones, and removes all others there."""
        self.volumes.mkdir(parents=True, exist_ok=True)
        wanted = set(cases)
        for name in sorted(wanted):
            if (self.work / name).is_dir():
                shutil.rmtree(self.volumes / name, ignore_errors=True)
                shutil.move(self.work / name, self.volumes / name)
        for path in self.volumes.iterdir():
            if path.is_dir() and path.name not in wanted:
                shutil.rmtree(path)

    def _note(self, entry: CaseSource) -> Path:
        return self.work / f"{entry.case}.json"

    def _signature(self, entry: CaseSource) -> str:
        digest = hashlib.sha256(repr(entry).encode())
        for file in [*image_files(entry), *([entry.mask] if entry.mask else [])]:
            try:
                seen = file.stat()
                facts = f"{file}\0{seen.st_size}\0{seen.st_mtime_ns}"
            except OSError as error:  # told when the case is read
                facts = f"{file}\0{error.errno}"
            digest.update(facts.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
