"""Write into dvc.yaml, for each stage, the source files that its script reaches through imports.

DVC does not see imports. With the exact list, a change re-runs the stages that it can affect, and no others.
Run `make deps` after a change of imports; a test compares dvc.yaml with the imports.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "pre2post"
SCRIPT = re.compile(r"python (src/\w+\.py)")


def reached_files(script: Path) -> list[Path]:
    """Return the script and all files below src/ that it reaches, sorted: modules, and data files beside them.

    A package that lists its own modules with iter_modules(__path__) reaches all of them. Imports for type checkers
    alone do not count.
    """
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            if file.suffix == ".py":
                waiting += _neighbours(file, script.parent)
    return sorted(found)


def _neighbours(file: Path, src: Path) -> Iterator[Path]:
    """Yield the files that one module imports or reads, and its packages."""
    tree = without_type_imports(ast.parse(file.read_text(encoding="utf-8")))
    for name in _imported_names(tree):
        yield from _module_files(name, src)
    for call in _calls(tree, "with_name"):
        if isinstance(call.args[0], ast.Constant):
            data = file.with_name(str(call.args[0].value))
            yield from ([data] if data.is_file() else sorted(path for path in data.rglob("*") if path.is_file()))
    for _ in _calls(tree, "iter_modules"):
        yield from file.parent.glob("*.py")


def _imported_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module_files(name: str, src: Path) -> Iterator[Path]:
    """Yield the file of a dotted name of this project and of every package around it; nothing for other libraries."""
    parts = name.split(".")
    if parts[0] == PACKAGE:
        for depth in range(1, len(parts) + 1):
            path = src.joinpath(*parts[:depth])
            yield from filter(Path.is_file, (path / "__init__.py", path.with_suffix(".py")))


def without_type_imports(tree: ast.AST) -> ast.AST:
    class Dropper(ast.NodeTransformer):
        def visit_If(self, node: ast.If):
            return None if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else node

    return Dropper().visit(tree)


def _calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    """Yield the calls of a function or method of this name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", None)) == name:
            yield node


def with_deps(text: str, root: Path = ROOT) -> str:
    """Return the text of dvc.yaml with the source files of each stage's deps replaced by those that it reaches."""
    result: list[str] = []
    script, in_deps = "", False
    for line in text.split("\n"):
        if in_deps and not line.startswith("    - "):
            result += [f"    - {file.relative_to(root)}" for file in reached_files(root / script)]
            in_deps = False
        if match := SCRIPT.search(line):
            script = match[1]
        if not (in_deps and line.startswith("    - src/")):
            result.append(line)
        if script and line == "    deps:":
            in_deps = True
    return "\n".join(result)


def main() -> None:
    file = ROOT / "dvc.yaml"
    before = file.read_text(encoding="utf-8")
    after = with_deps(before)
    if after != before:
        file.write_text(after, encoding="utf-8")
    print("dvc.yaml: " + ("deps updated" if after != before else "deps are up to date"), file=sys.stderr)


if __name__ == "__main__":
    main()
