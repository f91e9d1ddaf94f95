"""Edits of a params.yaml, for tests that run with other parameters."""

from pathlib import Path

from ruamel.yaml import YAML


def change_params(file: Path, changes: dict[str, object], source: Path | None = None) -> None:
    """Set dotted names in params.yaml, comments kept: {"gan.epochs": 2}. Start from `source` where it is given."""
    yaml = YAML()
    content = yaml.load(source or file)
    for name, value in changes.items():
        *sections, key = name.split(".")
        target = content
        for section in sections:
            target = target[section]
        target[key] = value
    yaml.dump(content, file)
