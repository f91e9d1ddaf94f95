"""The cache of ingested cases: after a kill or a change of the input, only missing and changed cases are ingested.

Finished cases stay in the work folder until all are finished, and are then moved to the volumes. Each has a record: a
signature of the names, sizes and modification times of its input files, and the digest of its result. The input is not
hashed by content: reading 770,000 files takes hours, reading their metadata takes a minute.
"""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pre2post.cohort.case import CASE, read_case
from pre2post.core.errors import InputError
from pre2post.core.files import read_json, write_json
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.ingest_case import IngestResult
from pre2post.ingest.study import image_files


class IngestCache:
    """Finished cases in a work folder below `root` and in `volumes`.

    `settings` and the content of the files `code` name the work folder, so that runs with other parameters or other
    code, such as experiments, do not overwrite each other.
    """

    def __init__(self, root: Path, volumes: Path, settings: Mapping[str, object], code: Iterable[Path]) -> None:
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for file in sorted(code):
            digest.update(file.name.encode() + file.read_bytes())
        self.work, self.volumes = root / digest.hexdigest()[:16], volumes
        self.work.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the work folder; wait while another process, such as a queued experiment, holds it."""
        with open(self.work / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def find(self, source: CaseSource) -> IngestResult | None:
        """Return the result of a case if its volumes exist and its input is unchanged."""
        try:
            record = read_json(self._record(source))
            if record["signature"] != self._signature(source):
                return None
            for folder in (self.work / source.case, self.volumes / source.case):
                if (folder / CASE).is_file() and _digest(folder / CASE) == record["result"]:
                    case, row = read_case(folder)
                    roles = (*case.phases, "mask") if case.has_mask else case.phases
                    return IngestResult(case, row) if all(case.path(role).is_file() for role in roles) else None
        except (InputError, KeyError, TypeError):
            pass  # a missing or damaged record: ingest the case again
        return None

    def add(self, source: CaseSource) -> None:
        """Record that a case in the work folder is finished."""
        result = _digest(self.work / source.case / CASE)
        write_json(self._record(source), {"signature": self._signature(source), "result": result})

    def discard(self, source: CaseSource) -> None:
        """Remove the record and the volumes of a case from the work folder."""
        self._record(source).unlink(missing_ok=True)
        shutil.rmtree(self.work / source.case, ignore_errors=True)

    def publish(self, cases: Iterable[str]) -> None:
        """Move the finished cases to the volumes, where they replace older ones; remove all other cases there."""
        self.volumes.mkdir(parents=True, exist_ok=True)
        wanted = set(cases)
        for name in sorted(wanted):
            if (self.work / name).is_dir():
                shutil.rmtree(self.volumes / name, ignore_errors=True)
                shutil.move(self.work / name, self.volumes / name)
        for path in self.volumes.iterdir():
            if path.is_dir() and path.name not in wanted:
                shutil.rmtree(path)

    def _record(self, source: CaseSource) -> Path:
        return self.work / f"{source.case}.json"

    def _signature(self, source: CaseSource) -> str:
        digest = hashlib.sha256(repr(source).encode())
        for file in [*image_files(source), *([source.mask] if source.mask else [])]:
            try:
                status = file.stat()
                facts = f"{file}\0{status.st_size}\0{status.st_mtime_ns}"
            except OSError as error:  # reported when the case is read
                facts = f"{file}\0{error.errno}"
            digest.update(facts.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
