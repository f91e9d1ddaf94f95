"""The stages of dvc.yaml and dvc.lock: their outputs, dependencies, order and parameters."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pre2post.core.files import read_yaml
from pre2post.core.paths import PARAMS

STAGES, LOCK = Path("dvc.yaml"), Path("dvc.lock")
OUTPUTS = ("outs", "metrics", "plots")  # the keys of dvc.yaml that list outputs of a stage
Stages = dict[str, dict[str, Any]]


def read_stages() -> Stages:
    """Read the stages of dvc.yaml by name; fill in ${...} from params.yaml, except for the items of a matrix."""
    return _resolved(read_yaml(STAGES)["stages"], read_yaml(PARAMS))


def made_by(stages: Stages, file: Path) -> str | None:
    """Return the stage that writes a file or a folder around it; None if no stage does."""
    return next((name for name, stage in stages.items() if any(_touch(str(file), out) for out in outputs(stage))), None)


def outputs(stage: dict[str, Any]) -> list[str]:
    """Return the paths of all outputs of a stage."""
    entries = (entry for key in OUTPUTS for entry in stage.get(key, []))
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def upstream(stages: Stages, name: str) -> list[str]:
    """Return the stage and all stages that it depends on, directly or indirectly, in the order of dvc.yaml."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            makers = (made_by(stages, Path(dep)) for dep in stages[current]["deps"])
            waiting += [maker for maker in makers if maker]
    return [stage for stage in stages if stage in found]


def parameters(stages: Stages, names: list[str]) -> dict[str, Any]:
    """Return the values in params.yaml that these stages depend on, by dotted name."""
    content = read_yaml(PARAMS)
    keys = sorted({key for name in names for key in stages[name].get("params", [])})
    return {key: _value(content, key) for key in keys}


def code(stage: dict[str, Any]) -> list[str]:
    """Return the source files that a stage depends on."""
    return [dep for dep in stage["deps"] if dep.startswith("src/")]


def locked_hash(stage: str, path: str) -> str | None:
    """Return the MD5 in dvc.lock of a dependency of a stage, from its last run; None if it is not there."""
    entry = read_yaml(LOCK)["stages"].get(stage, {}) if LOCK.is_file() else {}
    return next((dep.get("md5") for dep in entry.get("deps", []) if dep["path"] == path), None)


def _touch(one: str, other: str) -> bool:
    """Return whether two paths are equal or one contains the other; ignore all from a matrix's ${item...} on."""
    one, other = (
        f"{path.partition('${')[0].rstrip('/')}/" if "${" not in path else path.partition("${")[0]
        for path in (one, other)
    )
    return one.startswith(other) or other.startswith(one)


def _resolved(content: Any, params: Any) -> Any:
    """Fill in ${...} from params.yaml in all keys and texts."""
    if isinstance(content, dict):
        return {_resolved(key, params): _resolved(value, params) for key, value in content.items()}
    if isinstance(content, list):
        return [_resolved(value, params) for value in content]
    if not isinstance(content, str):
        return content
    names = dict.fromkeys(_names(content))
    whole = len(names) == 1 and content == f"${{{next(iter(names))}}}"
    if whole:
        return _value(params, next(iter(names)))
    for name in names:
        content = content.replace(f"${{{name}}}", str(_value(params, name)))
    return content


def _names(text: str) -> Iterator[str]:
    """Yield the names in ${...}, except for the items of a matrix."""
    return (name for name in re.findall(r"\$\{([^}]+)\}", text) if not name.startswith("item."))


def _value(content: Any, name: str) -> Any:
    for key in name.split("."):
        content = content[key]
    return content
