"""Where a number comes from: the code, data, parameters and packages that made a file of results."""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from pre2post.core.files import write_json
from pre2post.pipeline.stages import STAGES, code, locked_hash, made_by, parameters, read_stages, upstream

PACKAGES = ("dvc", "monai", "nnunetv2", "numpy", "scikit-image", "scipy", "SimpleITK", "torch")  # that numbers rest on
PROVENANCE = "provenance"  # key in a file of metrics
DIGITS = 16  # hexadecimal, of the parameters' hash: enough to tell any two apart


def provenance(file: Path) -> dict[str, Any]:
    """What made `file`, an output of a stage, from what:

    What made_with() says; data: MD5 of the cohort, as dvc.lock has it; params: SHA-256, its beginning, of the values
    that this stage and those before it depend on. None where there is no dvc.yaml.
    """
    stages = read_stages() if STAGES.is_file() else {}
    name = made_by(stages, file)
    return {**made_with(file), "data": cohort_hash(), "params": _params(stages, name) if name else None}


def made_with(file: Path) -> dict[str, Any]:
    """The code and packages that make `file`, an output of a stage.

    commit: the last one that changed the stage's script or rooms, so that it is the same in every clone, whatever was
    committed since; uncommitted_changes: whether they have been changed after it. Both None outside Git.
    """
    stages = read_stages() if STAGES.is_file() else {}
    name = made_by(stages, file)
    return {
        **(_code(code(stages[name])) if name else {"commit": None, "uncommitted_changes": None}),
        "python": python_version(),
        "packages": {package: _version(package) for package in PACKAGES},
    }


def cohort_hash() -> str | None:
    """MD5 of the cohort that was ingested, as DVC counts it (data.dvc has the same); None where dvc.lock has none."""
    stages = read_stages() if STAGES.is_file() else {}
    return locked_hash("ingest", stages["ingest"]["deps"][0]) if "ingest" in stages else None


def write_metrics(file: Path, content: Mapping[str, Any]) -> None:
    """Writes a file of metrics with its provenance.

    That lies in a list, since DVC shows numbers and texts in its tables of metrics, but no lists.
    """
    write_json(file, {**content, PROVENANCE: [provenance(file)]})


def _code(paths: list[str]) -> dict[str, str | bool | None]:
    commit = _git("log", "-1", "--format=%H", "--", *paths)
    changed = _git("status", "--porcelain", "--", *paths)
    return {"commit": commit or None, "uncommitted_changes": None if changed is None else bool(changed)}


def _git(*arguments: str) -> str | None:
    """What Git says; None where there is no Git, or no repository."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _params(stages, name: str) -> str:
    values = json.dumps(parameters(stages, upstream(stages, name)), sort_keys=True)
    return hashlib.sha256(values.encode()).hexdigest()[:DIGITS]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
