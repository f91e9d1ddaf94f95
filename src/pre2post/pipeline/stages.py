"""dvc.yaml and dvc.lock as a stage sees them: who makes which file, from what, and by which parameters."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pre2post.core.paths import PARAMS
from pre2post.core.yaml_file import read_yaml

STAGES, LOCK = Path("dvc.yaml"), Path("dvc.lock")
OUTPUTS = ("outs", "metrics", "plots")  # the keys under which dvc.yaml lists what a stage makes
Stages = dict[str, dict]


def read_stages() -> Stages:
    """The stages of dvc.yaml by name; what ${...} takes from params.yaml is put in, a matrix's own items are not."""
    return _resolved(read_yaml(STAGES)["stages"], read_yaml(PARAMS))


def made_by(stages: Stages, file: Path) -> str | None:
    """The stage that makes a file, or the folder around it; None: none does."""
    return next((name for name, stage in stages.items() if any(_touch(str(file), out) for out in outputs(stage))), None)


def outputs(stage: dict) -> list[str]:
    """Paths of all that a stage makes."""
    entries = (entry for key in OUTPUTS for entry in stage.get(key, []))
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def upstream(stages: Stages, name: str) -> list[str]:
    """The stage and every one before it, whose outputs reach it, in the order of dvc.yaml."""
    found, waiting = set(), [name]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            makers = (made_by(stages, Path(dep)) for dep in stages[current]["deps"])
            waiting += [maker for maker in makers if maker]
    return [stage for stage in stages if stage in found]


def parameters(stages: Stages, names: list[str]) -> dict[str, Any]:
    """The values in params.yaml that these stages depend on, by dotted name."""
    content = read_yaml(PARAMS)
    keys = sorted({key for name in names for key in stages[name].get("params", [])})
    return {key: _value(content, key) for key in keys}


def code(stage: dict) -> list[str]:
    """A stage's script and the rooms that it reaches."""
    return [dep for dep in stage["deps"] if dep.startswith("src/")]


def locked_hash(stage: str, path: str) -> str | None:
    """MD5 of a dependency of a stage when that last ran, as dvc.lock has it; None where it has none."""
    entry = read_yaml(LOCK)["stages"].get(stage, {}) if LOCK.is_file() else {}
    return next((dep.get("md5") for dep in entry.get("deps", []) if dep["path"] == path), None)


def _touch(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies in the other; what follows a matrix's ${item...} does not count."""
    one, other = (
        f"{path.partition('${')[0].rstrip('/')}/" if "${" not in path else path.partition("${")[0]
        for path in (one, other)
    )
    return one.startswith(other) or other.startswith(one)


def _resolved(content, params):
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
    """What stands in ${...}, but for a matrix's own items."""
    return (name for name in re.findall(r"\$\{([^}]+)\}", text) if not name.startswith("item."))


def _value(content, name: str):
    for key in name.split("."):
        content = content[key]
    return content
