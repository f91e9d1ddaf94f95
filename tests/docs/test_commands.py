"""The commands in the sh blocks of all pages: programs, options, files, parameters, stages and targets exist.

Nothing is run here. tests/e2e/pipeline/test_documented_commands.py runs the blocks without a `not run` comment.
"""

import re
import shlex
import shutil
import sys
from pathlib import Path

import click
import pytest
import yaml
from documented_commands import Block, blocks, documented_blocks
from repository import ROOT

from pre2post.cli.main import cli

BLOCKS = documented_blocks()
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
SHELL = {".", "cd", "echo", "pip", "mkdir", "grep"}
ELSEWHERE = {"sbatch", "pre-commit"}  # programs that this environment does not install
KNOWN_FOLDERS = ("src/", "tests/", "tools/", "cluster/", "bench/", "experiments/", "docs/")
OPERATORS = {"&&", "||", "|", ";", "&"}
STAGE_COMMANDS = (["repro"], ["exp", "run"], ["commit"])


def simple_commands(line: str) -> list[list[str]]:
    """Return the words of each command of a shell line, without variables set before it; $(...) is one word."""
    inner = re.findall(r"\$\(([^()]*)\)", line)
    line = re.sub(r"\s>>?\s*\S+", "", line)  # where the output goes
    found: list[list[str]] = [[]]
    for word in shlex.split(re.sub(r"\$\([^()]*\)", "SUBSTITUTED", line)):
        found[-1].append(word) if word not in OPERATORS else found.append([])
    without = [_without_variables(words) for words in found]
    return [words for words in without if words] + [words for one in inner for words in simple_commands(one)]


def _without_variables(words: list[str]) -> list[str]:
    while words and re.match(r"[A-Za-z_]\w*=", words[0]):
        words = words[1:]
    return words


COMMANDS = [
    pytest.param(words, id=f"{block.page}:{block.line} {' '.join(words)[:60]}")
    for block in BLOCKS
    for line in block.commands
    for words in simple_commands(line)
]


def has_parameter(name: str) -> bool:
    content = PARAMS
    for key in name.split("."):
        if not isinstance(content, dict) or key not in content:
            return False
        content = content[key]
    return True


def outputs() -> list[str]:
    entries = [
        entry for stage in STAGES.values() for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])
    ]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


@pytest.mark.parametrize("words", COMMANDS)
def test_the_program_exists(words):
    if words[0] not in SHELL | ELSEWHERE | {"pre2post"}:
        assert Path(sys.executable).with_name(words[0]).exists() or shutil.which(words[0]), words[0]


@pytest.mark.parametrize("words", [p for p in COMMANDS if p.values[0][0] == "make"])
def test_make_has_the_target(words):
    targets = [word for word in words[1:] if "=" not in word]
    assert targets and set(targets) <= TARGETS
    for word in words[1:]:
        if word.startswith("NAME="):
            assert all((ROOT / f"experiments/{name}.args").is_file() for name in word.removeprefix("NAME=").split())


@pytest.mark.parametrize("words", [p for p in COMMANDS if p.values[0][0] == "pre2post"])
def test_pre2post_has_the_command_and_its_options(words):
    context = click.Context(cli)
    command: click.Command = cli
    if words[1:] and not words[1].startswith("-"):
        found = cli.get_command(context, words[1])
        assert found is not None, f"pre2post has no command {words[1]}"
        command, words = found, words[1:]
    _, left, _ = command.make_parser(click.Context(command)).parse_args(words[1:])  # raises for an unknown option
    assert left == [], "too many arguments"


@pytest.mark.parametrize("words", [p for p in COMMANDS if p.values[0][0] == "dvc"])
def test_dvc_takes_the_arguments(words):
    from dvc.cli import parse_args

    shown = [word for word in words[1:] if word != "SUBSTITUTED"]
    arguments = parse_args(shown)
    for setting in getattr(arguments, "set_param", None) or []:
        assert setting.startswith("+") or has_parameter(setting.partition("=")[0]), setting
    if any(shown[: len(command)] == command for command in STAGE_COMMANDS):
        known = {*STAGES, *outputs(), "data"}
        assert [name for name in arguments.targets or [] if name.partition("@")[0] not in known] == []


@pytest.mark.parametrize("words", [p for p in COMMANDS if p.values[0][0] in ("python", "torchrun")])
def test_a_script_exists_and_knows_its_options(words):
    place = next(number for number, word in enumerate(words) if word.endswith(".py"))
    text = (ROOT / words[place]).read_text(encoding="utf-8")
    options = [word.partition("=")[0] for word in words[place + 1 :] if word.startswith("--")]
    assert [option for option in options if f'"{option}"' not in text] == []


@pytest.mark.parametrize("words", COMMANDS)
def test_the_files_of_this_repository_exist(words):
    named = [word for word in words if word.startswith(KNOWN_FOLDERS) and not set(word) & set("*<$")]
    assert [word for word in named if not (ROOT / word).exists()] == []


@pytest.mark.parametrize("block", [block for block in BLOCKS if "tests/" in block.reason], ids=str)
def test_a_test_that_runs_a_block_instead_exists(block):
    assert all((ROOT / name).is_file() for name in re.findall(r"tests/\S+\.py", block.reason))


def test_commands_are_read_as_a_shell_reads_them():
    text = "Text\n\n```sh\na b \\\n  c   # it's a comment\n\nX=1 d && e 'f # g'\nh $(grep -v '^#' i) | j\n```\n"
    (block,) = blocks("page.md", text)
    assert block.commands == ["a b    c", "X=1 d && e 'f # g'", "h $(grep -v '^#' i) | j"]
    assert [simple_commands(line) for line in block.commands] == [
        [["a", "b", "c"]],
        [["d"], ["e", "f # g"]],
        [["h", "SUBSTITUTED"], ["j"], ["grep", "-v", "^#", "i"]],
    ]


def test_a_comment_excludes_a_block_with_its_reason():
    text = "<!-- not run: needs a GPU -->\n```sh\na\n```\n\n```sh\nb\n```\n\n```python\nc\n```\n"
    text += "- item\n\n   ```sh\n   d\n   ```\n"
    assert [(block.script, block.reason) for block in blocks("page.md", text)] == [
        ("a", "needs a GPU"),
        ("b", ""),
        ("d", ""),
    ]
    assert isinstance(BLOCKS[0], Block)
