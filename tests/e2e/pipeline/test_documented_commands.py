"""Run the sh blocks of README and docs in the clone of the tiny study, as a reader would: block by block, in order.

A comment `<!-- not run: reason -->` above a block excludes it. tests/docs/test_commands.py checks the others unrun.
"""

import pytest
from documented_commands import Block, documented_blocks

BLOCKS = [block for block in documented_blocks() if not block.reason]
PAGES = dict.fromkeys(block.page for block in BLOCKS)
PROGRAMS = {  # of the clone, in the environment that exists already
    "make": 'exec /usr/bin/env PATH="$OUTER" make -o .venv/.installed -o .venv/.package "$@"',
    "pre2post": 'PYTHONPATH="$PWD/src" exec python -m pre2post "$@"',
}


@pytest.fixture(scope="module")
def reader(reproduced, tmp_path_factory):
    """Return a function that runs a block in the clone; everything is as before in the end."""
    programs = tmp_path_factory.mktemp("programs")
    for name, script in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    activate = reproduced.path / ".venv/bin/activate"
    activate.parent.mkdir(parents=True)
    activate.write_text("")

    def run(block: Block) -> None:
        path = f'export OUTER="$PATH"; export PATH="{programs}:$PATH"\n'
        reproduced.run("bash", "-euo", "pipefail", "-c", path + block.script)

    yield run
    activate.unlink()
    reproduced.run("dvc", "exp", "remove", "--all-commits", "--queue")


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run(reproduced, reader, page):
    for block in BLOCKS:
        if block.page == page:
            reader(block)
    if reproduced.run("git", "status", "--porcelain"):
        reproduced.restore()


def test_most_pages_have_commands_that_run():
    assert len(PAGES) > 5 and "README.md" in PAGES
