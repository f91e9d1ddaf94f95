"""All commands: their help with examples that can be parsed, what they import at the start, and how they fail."""

import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from commands import PRE2POST, code_of, environment
from repository import ROOT, SRC

from pre2post.cli.main import COMMANDS, cli, main

HEAVY = (
    "SimpleITK",
    "dvc",
    "matplotlib",
    "nibabel",
    "nnunetv2",
    "numpy",
    "pydantic",
    "pydicom",
    "scipy",
    "skimage",
    "torch",
    "yaml",
)
FILES = sorted(path for path in (SRC / "pre2post/cli").glob("*.py"))


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    env = environment(**code_of(ROOT))
    return subprocess.run([*PRE2POST, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=60)


def examples(text: str) -> list[list[str]]:
    """Return the words of each example in the help of a command; a line that ends in a backslash continues."""
    lines = text.partition("Examples:\n")[2].partition("\n\n")[0].replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_has_examples_that_the_command_accepts(name, capsys):
    main([name, "--help"])
    text = capsys.readouterr().out
    found = examples(text)
    assert text.startswith(f"Usage: pre2post {name} ") and found
    for words in found:
        assert words[:2] == ["pre2post", name]
        command = cli.get_command(click.Context(cli), name)
        assert command and command.make_context(name, words[2:])  # raises an error for arguments that do not fit


def test_the_help_of_all_lists_each_command_with_a_complete_sentence(capsys):
    main(["--help"])
    text = capsys.readouterr().out
    listed = [line.split(maxsplit=1) for line in text.partition("Commands:\n")[2].splitlines()]
    assert [name for name, _ in listed] == list(COMMANDS)
    assert all(words.endswith(".") and not words.endswith("...") for _, words in listed)
    for words in examples(text):
        assert words[0] == "pre2post" and words[1] in (*COMMANDS, "COMMAND")
        if words[1] != "COMMAND":
            cli.get_command(click.Context(cli), words[1]).make_context(words[1], words[2:])


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys; from pre2post.cli.main import main; main(sys.argv[1:])\n"
        f"found = set({HEAVY}) & set(sys.modules); sys.exit(f'imported: {{found}}' if found else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment(**code_of(ROOT)), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_package_imports_nothing_heavy():
    code = f"import pre2post, sys; assert not set({HEAVY}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], env=environment(**code_of(ROOT)), check=True)


def test_each_command_has_a_file_of_its_own():
    names = {path.stem for path in FILES} - {"__init__", "main", "generator_options"}
    assert names == {name.replace("-", "_") for name in COMMANDS}
    assert all(callable(getattr(import_module(f"pre2post.cli.{name}"), name)) for name in names)


def test_the_installed_command_is_this_one():
    from importlib.metadata import entry_points

    (found,) = entry_points(group="console_scripts", name="pre2post")
    assert found.load() is main


def test_the_version_is_that_of_pyproject(capsys):
    import tomllib

    import pre2post

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    main(["--version"])
    assert capsys.readouterr().out == f"pre2post {version}\n" and pre2post.__version__ == version


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["nothing"], ("No such command 'nothing'", "pre2post --help")),
        (["predict", "pre.nii"], ("Missing argument 'OUTPUT'", "pre2post predict --help")),
        (["predict", "a.nii", "b.nii", "--phases", "2"], ("--phases", "--phase", "pre2post predict --help")),
        (["predict", "a.nii", "b.nii", "--threads", "0"], ("--threads", "x>=1")),
        (["phantom", "--matrix", "3"], ("--matrix", "x>=16")),
        (["verify", "--tolerance", "much"], ("--tolerance", "'much'")),
    ],
)
def test_wrong_options_end_in_one_line(arguments, words):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ") and not [word for word in words if word not in done.stderr], done.stderr


def test_without_arguments_the_help_is_shown():
    done = run()
    assert done.returncode == 2 and "Usage: pre2post" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["check-cohort", "data"], ("params.yaml", "missing", "repository root")),
        (["verify"], ("dvc.yaml", "missing")),
        (["check-remote"], ("not in a DVC repository",)),
        (["import-weights", "none.pth", "new.safetensors"], ("none.pth",)),
        (["predict", "none.nii", "out.nii"], ("none.nii", "missing")),
    ],
)
def test_a_folder_without_the_needed_files_ends_in_one_line(arguments, words, tmp_path):
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ") and not [word for word in words if word not in done.stderr], done.stderr
    assert not list(tmp_path.iterdir())


def test_an_interrupt_ends_without_a_traceback(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pre2post.phantom.cohort.write_cohort", interrupted)
    with pytest.raises(SystemExit) as stopped:
        main(["phantom"])
    assert stopped.value.code == 130
