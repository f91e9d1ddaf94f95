"""Computes metrics anew from the artefacts and says whether they are the ones in Git."""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pre2post.core.errors import InputError, run_stage
from pre2post.core.files import read_json
from pre2post.core.paths import PARAMS
from pre2post.pipeline.provenance import PROVENANCE
from pre2post.pipeline.stages import LOCK, STAGES, Stages, made_by, read_stages

SHOWN = 5  # values in a message


def main() -> None:
    arguments = read_arguments()
    stages = read_stages()
    different = 0
    for name in arguments.metrics or known(stages):
        file, key = Path(name.partition(":")[0]), name.partition(":")[2]
        stage = find_stage(stages, file)
        committed = select(read_committed(file, arguments.revision), key, f"{file} of {arguments.revision}")
        warn_of_changes(stage)
        computed = select(compute(stage, file), key, f"{file} as computed")
        unequal = [*differences(committed, computed, arguments.tolerance)]
        different += bool(unequal)
        print(verdict(file, key, arguments, committed, unequal))
    if different:
        sys.exit(1)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="The stage that makes a file runs once more, in a "
        "temporary folder, on the artefacts that lie here (`dvc pull` or `dvc repro` "
        "first). Exit code 1: a number differs.",
    )
    parser.add_argument(
        "metrics",
        nargs="*",
        metavar="FILE[:KEY]",
        help="such as metrics/synthesis.json or metrics/synthesis.json:test.synthetic; default: all",
    )
    parser.add_argument("--revision", default="HEAD", help="commit, branch, tag or experiment to compare with")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="how far a number may be off, as a share of it, on another kind of machine; default: 0",
    )
    return parser.parse_args()


def known(stages: Stages) -> list[str]:
    """Every file of metrics."""
    return [file for stage in stages.values() for entry in stage.get("metrics", []) for file in entry]


def find_stage(stages: Stages, file: Path) -> str:
    if str(file) not in known(stages):
        raise InputError("no stage makes these metrics", file=file, expected=", ".join(known(stages)))
    return made_by(stages, file)


def read_committed(file: Path, revision: str) -> dict:
    done = subprocess.run(["git", "show", f"{revision}:{file}"], capture_output=True, text=True)
    if done.returncode:
        raise InputError("this is not in Git", file=file, found=done.stderr.strip(), hint="name another --revision")
    return json.loads(done.stdout)


def warn_of_changes(stage: str) -> None:
    """Says when what the stage reads is not what dvc.lock lists: then other numbers are no wonder."""
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
            f"warning: not as dvc.lock has it: {', '.join(changed)}; what to do: `dvc checkout`, `dvc pull` or "
            f"`dvc repro {stage}`",
            file=sys.stderr,
        )


@cache
def compute(name: str, file: Path) -> dict:
    """What a stage makes of `file` in a folder of its own, into which all that it reads is linked; made once, however
    many of its keys are asked for."""
    stage = read_stages()[name]
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        for path in (*stage["deps"], PARAMS, STAGES, LOCK):
            source, link = Path(path), Path(folder) / path
            if not source.exists():
                raise InputError("an artefact is missing", file=source, hint=f"`dvc pull {path}`, or `dvc repro`")
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


def select(content: dict, key: str, where: str):
    """The part of the metrics under a dotted key, without their provenance."""
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


def differences(committed, computed, tolerance: float, name: str = "") -> Iterator[str]:
    """What is not equal, as "test.mae: 0.1 in Git, 0.2 computed"."""
    if isinstance(committed, dict) and isinstance(computed, dict):
        for key in dict.fromkeys([*committed, *computed]):
            yield from differences(committed.get(key), computed.get(key), tolerance, f"{name}.{key}".lstrip("."))
    elif not _equal(committed, computed, tolerance):
        yield f"{name or 'value'}: {json.dumps(committed)} in Git, {json.dumps(computed)} computed"


def _equal(one, other, tolerance: float) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other))
    return math.isclose(one, other, rel_tol=tolerance) if numbers else one == other and type(one) is type(other)


def verdict(file: Path, key: str, arguments: argparse.Namespace, committed, unequal: list[str]) -> str:
    name, count = f"{file}:{key}" if key else str(file), count_values(committed)
    if not unequal:
        return f"{name}: {count} values, all as in {arguments.revision}"
    more = f"; and {len(unequal) - SHOWN} more" if len(unequal) > SHOWN else ""
    return f"{name}: {len(unequal)} of {count} values differ: {'; '.join(unequal[:SHOWN])}{more}"


def count_values(content) -> int:
    return sum(map(count_values, content.values())) if isinstance(content, dict) else 1


if __name__ == "__main__":
    run_stage(main)
