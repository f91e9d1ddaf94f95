"""Where a number comes from: the code, data, parameters and packages that made a file of results.

Nothing here depends on the state of Git, so a second clone writes the same bytes, and one commit after `dvc repro` is
enough.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from pre2post.core.files import round_floats, write_json
from pre2post.pipeline.stages import STAGES, Stages, code, locked_hash, made_by, parameters, read_stages, upstream

PACKAGES = ("dvc", "monai", "nnunetv2", "numpy", "scikit-image", "scipy", "SimpleITK", "torch")  # that numbers rest on
PROVENANCE = "provenance"  # key in a file of metrics
CHECK = "check_params"  # this stage reads every parameter, but its output never changes
DIGITS = 16  # hexadecimal, of a hash: enough to tell any two apart


def provenance(file: Path) -> dict[str, Any]:
    """Return what made `file`, an output of a stage, and from what.

    The keys of made_with(), and data: MD5 of the cohort, as in dvc.lock; params: hash of the values that this stage
    and those before it depend on. None where there is no dvc.yaml.
    """
    stages = read_stages() if STAGES.is_file() else {}
    name = made_by(stages, file)
    return {**made_with(file), "data": cohort_hash(), "params": _params(stages, name) if name else None}


def made_with(file: Path) -> dict[str, Any]:
    """Return the code and the packages that make `file`, an output of a stage.

    code: hash of the source files among the stage's dependencies, whose MD5 dvc.lock lists. None outside a pipeline.
    """
    stages = read_stages() if STAGES.is_file() else {}
    name = made_by(stages, file)
    return {
        "code": code_hash(map(Path, code(stages[name]))) if name else None,
        "python": python_version(),
        "packages": {package: _version(package) for package in PACKAGES},
    }


def code_hash(files: Iterable[Path]) -> str:
    """Return the beginning of the SHA-256 of the lines "MD5 path" of these files, sorted by path."""
    lines = (f"{hashlib.md5(file.read_bytes()).hexdigest()} {file.as_posix()}\n" for file in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:DIGITS]


def cohort_hash() -> str | None:
    """Return the MD5 of the ingested cohort, as in dvc.lock and data.dvc; None where dvc.lock has none."""
    stages = read_stages() if STAGES.is_file() else {}
    return locked_hash("ingest", _cohort(stages)) if "ingest" in stages else None


def _cohort(stages: Stages) -> str:
    """Return the folder of the cohort: what ingest depends on and no stage makes."""
    return next(dep for dep in stages["ingest"]["deps"] if made_by(stages, Path(dep)) is None)


def write_metrics(file: Path, content: Mapping[str, Any]) -> None:
    """Write a file of metrics, floats rounded to six digits, with its provenance.

    The provenance is in a list, since DVC's tables of metrics skip lists. NaN and infinity become null.
    """
    write_json(file, {**round_floats(content), PROVENANCE: [provenance(file)]})


def _params(stages: Stages, name: str) -> str:
    before = [stage for stage in upstream(stages, name) if stage != CHECK]
    values = json.dumps(parameters(stages, before), sort_keys=True)
    return hashlib.sha256(values.encode()).hexdigest()[:DIGITS]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
