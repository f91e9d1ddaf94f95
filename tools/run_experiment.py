"""Run the experiments that files in experiments/ describe: `make experiment NAME=spie2024`.

Several names are one experiment with the settings of all: `make experiment NAME="duke spie2024"`; it gets the last
name. A file whose lines all name an experiment holds one experiment per line. Several experiments, or several values
for one setting, go through DVC's queue.
"""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "experiments"
NAME = re.compile(r"-n (\S+)\s*")
SWEEP = re.compile(r"-S [\w.]+=[^\s\[]*,")  # several values outside a list


def experiments(names: Sequence[str]) -> list[str]:
    """Return the arguments of `dvc exp run` for each experiment that these files describe together."""
    files = [_lines(name) for name in names]
    if len(files) == 1 and _is_one_per_line(files[0]):
        return files[0]
    if any(_is_one_per_line(lines) for lines in files):
        sys.exit("error: a file with an experiment per line cannot be combined with others; what to do: name it alone")
    settings = [NAME.sub("", " ".join(lines)).strip() for lines in files]
    return [f"-n {names[-1]} {' '.join(settings)}"]


def commands(names: Sequence[str], more: Sequence[str]) -> list[list[str]]:
    """Return the commands to run, one after the other; `more` are further arguments of `dvc exp run`."""
    found = experiments(names)
    queued = len(found) > 1 or SWEEP.search(found[0]) is not None
    runs = [["dvc", "exp", "run", *(["--queue"] if queued else []), *line.split(), *more] for line in found]
    return [*runs, ["dvc", "queue", "start"]] if queued else runs


def _lines(name: str) -> list[str]:
    file = FOLDER / f"{name}.args"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.args")))
        sys.exit(f"error: file {file.relative_to(ROOT)}: there is no such experiment; expected: one of {known}")
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def _is_one_per_line(lines: Sequence[str]) -> bool:
    return len(lines) > 1 and all(line.startswith("-n ") for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage="%(prog)s NAME [NAME ...]"
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="a file in experiments/, without its ending")
    parser.add_argument("--dry-run", action="store_true", help="print the commands and run nothing")
    arguments, more = parser.parse_known_args()
    for command in commands(arguments.names, more):
        print(shlex.join(command), flush=True)
        if not arguments.dry_run and (code := subprocess.run(command, cwd=ROOT).returncode):
            sys.exit(code)


if __name__ == "__main__":
    main()
