"""Write docs/reference/parameters.md: every parameter with its type, default, meaning and the stages that read it.

Defaults and meanings are those of params.yaml, types are those of the sections in src/pre2post/*/params.py, and stages
are those of dvc.yaml. Run by `make docs`; a test compares the page with what this writes.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
PAGE = "docs/reference/parameters.md"
CHECK = "check_params"  # this stage reads every parameter
LINE = re.compile(r"^(?P<indent> *)(?P<key>[\w]+):(?P<rest>.*)$")
TEXTS = {
    r"^[a-z0-9_]+$": "text of a-z, 0-9 and _",
    r"^([0-9a-f]{8,64})?$": "8 to 64 hexadecimal digits, or empty",
    r"^post[1-9]$": "post1 to post9",
}  # patterns in words

HEAD = """\
# Parameters

<!-- Written by `python tools/write_parameters_page.py` (`make docs`). Do not edit. -->

All parameters are in [params.yaml](../../params.yaml). Edit that file and run `dvc repro`, or set values for one
experiment: `dvc exp run -S gan.epochs=200`. An unknown name or a value out of range stops the first stage with one
line. "Published" refers to the study of arXiv 2311.10879.

The last column names the stages that read a parameter. A change re-runs these, and later stages if an output changes.
Stage `check_params` reads every parameter and is not listed.
"""


class Parameter(NamedTuple):
    """One row of the page."""

    name: str
    kind: str
    default: str
    meaning: str
    stages: list[str]


def page(root: Path = ROOT) -> str:
    """Return the text of the page."""
    text = (root / "params.yaml").read_text(encoding="utf-8")
    values, comments = yaml.safe_load(text), read_comments(text)
    readers, schema = read_readers(root), _schema()
    parts = [HEAD]
    for section in values:
        rows = list(_rows(section, values[section], schema["properties"][section], schema, comments, readers))
        parts.append(f"## {section}\n\n{_table(rows)}\n")
    return "\n".join(parts)


def read_comments(text: str) -> dict[str, str]:
    """Return the comment of each key of params.yaml by dotted name: above it, behind it, or on the lines below."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    above: list[str] = []
    last = ""
    for line in text.splitlines():
        match, stripped = LINE.match(line), line.strip()
        if match:
            indent = len(match["indent"])
            path = [(depth, key) for depth, key in path if depth < indent] + [(indent, match["key"])]
            last = ".".join(key for _, key in path)
            behind = match["rest"].partition(" #")[2].strip()
            found[last] = " ".join(filter(None, [*above, behind]))
            above = []
        elif stripped.startswith("#"):
            if last and len(line) - len(line.lstrip()) > path[-1][0] + 4:  # goes on below the comment behind a key
                found[last] += " " + stripped.lstrip("# ")
            else:
                above.append(stripped.lstrip("# "))
        else:
            above = []
    return found


def read_readers(root: Path = ROOT) -> dict[str, list[str]]:
    """Return the names of parameters and sections that dvc.yaml gives, each with the stages that read it."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    readers: dict[str, list[str]] = {}
    for name, stage in stages.items():
        used = [*stage.get("params", []), *re.findall(r"\$\{([\w.]+)\}", json.dumps([stage["deps"], stage["cmd"]]))]
        for parameter in used:
            if name != CHECK and not parameter.startswith("item."):
                readers.setdefault(parameter, []).append(name)
    return readers


def stages_of(name: str, readers: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the stages that read a parameter itself, a section around it, or a part of it."""
    known = (own for read, own in readers.items() if f"{name}.".startswith(f"{read}.") or read.startswith(f"{name}."))
    found = {stage for own in known for stage in own}
    return [stage for stage in dict.fromkeys(stage for own in readers.values() for stage in own) if stage in found]


def _schema() -> dict[str, Any]:
    sys.path.insert(0, str(ROOT / "src"))
    from pre2post.pipeline.params import Params

    return Params.model_json_schema()


def _rows(
    name: str, value: Any, schema: Mapping, whole: Mapping, comments: Mapping, readers: Mapping
) -> Iterator[Parameter]:
    """Yield the parameters below a key: its fields, or the key itself if it has no fixed fields."""
    schema = _resolved(schema, whole)
    if "properties" in schema:
        if name in comments and "." in name:
            yield Parameter(name, "", "", comments[name], [])
        for key, own in schema["properties"].items():
            yield from _rows(f"{name}.{key}", value[key], own, whole, comments, readers)
        return
    yield Parameter(name, kind(schema, whole), _shown(value), comments.get(name, ""), stages_of(name, readers))
    if isinstance(value, dict):  # its keys are the user's
        for key, own in value.items():
            yield Parameter(f"{name}.{key}", "", _shown(own), comments.get(f"{name}.{key}", ""), [])


def kind(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """Return a type and its allowed values in words, from its JSON schema."""
    schema = _resolved(schema, whole)
    if "anyOf" in schema:
        return ", or ".join(kind(one, whole) for one in schema["anyOf"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {kind(schema['items'], whole)}"
    if schema["type"] == "object":
        inner = next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties", {}))
        return f"mapping of names to {kind(inner, whole)}"
    names = {"integer": "integer", "number": "number", "string": "text", "boolean": "`true`, `false`"}
    if "pattern" in schema:
        return TEXTS[schema["pattern"]]
    return " ".join([names[schema["type"]], *_range(schema)])


def _range(schema: Mapping[str, Any]) -> list[str]:
    """Return the limits of a number in words."""
    parts = [
        f"{word} {json.dumps(schema[key]).removesuffix('.0')}"
        for key, word in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "above"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "below"),
            ("multipleOf", "a multiple of"),
        )
        if key in schema
    ]
    return [", ".join(parts)] if parts else []


def _resolved(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    return whole["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _shown(value: Any) -> str:
    """Return a value as params.yaml has it; a mapping of mappings has a row per key instead."""
    if isinstance(value, dict) and any(isinstance(own, dict) for own in value.values()):
        return ""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000).removesuffix("\n...\n").strip()
    return f"`{text}`".replace("`''`", '`""`')


def _table(rows: Sequence[Parameter]) -> str:
    lines = [["name", "type, allowed values", "default", "meaning", "stages that read it"], ["---"] * 5]
    for row in rows:
        cells = [f"`{row.name}`", row.kind, row.default, row.meaning, ", ".join(f"`{name}`" for name in row.stages)]
        lines.append([cell.replace("|", r"\|") for cell in cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    output = ROOT / PAGE
    temporary = output.with_name(f".{output.name}.tmp{os.getpid()}")
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.write_text(page(), encoding="utf-8")
        os.replace(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
