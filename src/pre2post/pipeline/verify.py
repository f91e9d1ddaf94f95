"""Recompute metrics from the artifacts and compare them with those in Git."""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pre2post.core.errors import InputError
from pre2post.core.files import read_json
from pre2post.core.paths import PARAMS
from pre2post.pipeline.provenance import PROVENANCE
from pre2post.pipeline.stages import LOCK, STAGES, Stages, made_by, read_stages

MAX_SHOWN = 5  # values in a message


@dataclass(frozen=True)
class Verdict:
    """The comparison of a file of metrics, or of one key of it, with a revision."""

    name: str
    revision: str
    values: int
    differences: list[str]

    def __str__(self) -> str:
        if not self.differences:
            return f"{self.name}: {self.values} values, all as in {self.revision}"
        shown = "; ".join(self.differences[:MAX_SHOWN])
        more = f"; and {len(self.differences) - MAX_SHOWN} more" if len(self.differences) > MAX_SHOWN else ""
        return f"{self.name}: {len(self.differences)} of {self.values} values differ: {shown}{more}"


def verify(name: str, revision: str = "HEAD", tolerance: float = 0.0) -> Verdict:
    """Run the stage that writes a file of metrics in a temporary folder, and compare the numbers with a revision.

    name: such as "metrics/synthesis.json", or "metrics/synthesis.json:test.synthetic" for one key.
    tolerance: allowed relative difference of a number.
    Raises InputError if the file, the key, the revision or an artifact does not exist, or if the stage fails.
    """
    file, key = Path(name.partition(":")[0]), name.partition(":")[2]
    stage = _find_stage(read_stages(), file)
    committed = select(_read_committed(file, revision), key, f"{file} of {revision}")
    _warn_of_changes(stage)
    computed = select(_compute(stage, file), key, f"{file} as computed")
    found = [*differences(committed, computed, tolerance)]
    return Verdict(f"{file}:{key}" if key else str(file), revision, count_values(committed), found)


def metrics_files() -> list[str]:
    """Return every file of metrics that dvc.yaml names."""
    return _metrics_files(read_stages())


def select(content: Any, key: str, where: str) -> Any:
    """Return the part of metrics under a dotted key, without their provenance. Raises InputError if it is missing."""
    found = {name: value for name, value in content.items() if name != PROVENANCE}
    for part in filter(None, key.split(".")):
        if not isinstance(found, dict) or part not in found:
            raise InputError(
                f"there is no {key} in {where}",
                found=part,
                expected=", ".join(found) if isinstance(found, dict) else "a number",
            )
        found = found[part]
    return found


def differences(committed: Any, computed: Any, tolerance: float, name: str = "") -> Iterator[str]:
    """Yield each difference, as "test.mae: 0.1 in Git, 0.2 computed"."""
    if isinstance(committed, dict) and isinstance(computed, dict):
        for key in dict.fromkeys([*committed, *computed]):
            yield from differences(committed.get(key), computed.get(key), tolerance, f"{name}.{key}".lstrip("."))
    elif not _equal(committed, computed, tolerance):
        yield f"{name or 'value'}: {json.dumps(committed)} in Git, {json.dumps(computed)} computed"


def count_values(content: Any) -> int:
    return sum(map(count_values, content.values())) if isinstance(content, dict) else 1


def _metrics_files(stages: Stages) -> list[str]:
    return [file for stage in stages.values() for entry in stage.get("metrics", []) for file in entry]


def _find_stage(stages: Stages, file: Path) -> str:
    known = _metrics_files(stages)
    stage = made_by(stages, file) if str(file) in known else None
    if stage is None:
        raise InputError("no stage writes these metrics", file=file, expected=", ".join(known))
    return stage


def _read_committed(file: Path, revision: str) -> Any:
    done = subprocess.run(["git", "show", f"{revision}:{file}"], capture_output=True, text=True)
    if done.returncode:
        raise InputError("this is not in Git", file=file, found=done.stderr.strip(), hint="name another --revision")
    return json.loads(done.stdout)


def _warn_of_changes(stage: str) -> None:
    """Print a warning if the inputs of the stage differ from dvc.lock, so that other numbers are expected."""
    done = subprocess.run(["dvc", "status", "--json", stage], capture_output=True, text=True)
    found = json.loads(done.stdout) if done.returncode == 0 else {}
    changed = [
        name
        for entries in found.values()
        for entry in entries
        if isinstance(entry, dict)
        for name in entry.get("changed deps", {})
    ]
    if changed:
        print(
            f"warning: different from dvc.lock: {', '.join(changed)}; what to do: `dvc checkout`, `dvc pull` or "
            f"`dvc repro {stage}`",
            file=sys.stderr,
        )


@cache
def _compute(name: str, file: Path) -> Any:
    """Return the content of `file` as a stage writes it in a temporary folder with links to all that it reads.

    Each stage runs once, even if several of its keys are verified.
    """
    stage = read_stages()[name]
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        for path in (*stage["deps"], PARAMS, STAGES, LOCK):
            source, link = Path(path), Path(folder) / path
            if not source.exists():
                raise InputError("an artifact is missing", file=source, hint=f"`dvc pull {path}`, or `dvc repro`")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source.absolute())
        print(f"{name} runs ...", file=sys.stderr)
        done = subprocess.run([sys.executable, *stage["cmd"].split()[1:]], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise InputError(
                f"{name} ended with exit code {done.returncode}",
                file=file,
                found=(done.stderr.strip().splitlines() or ["no message"])[-1],
            )
        return read_json(Path(folder) / file)


def _equal(one: Any, other: Any, tolerance: float) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other))
    return math.isclose(one, other, rel_tol=tolerance) if numbers else one == other and type(one) is type(other)
