"""A pull that is cut in the middle of the weights, by the server or by the user, over every kind of remote."""

from collections.abc import Iterator

import pytest
from line import Line
from project import FILE, FOLDER, LIMIT, WEIGHTS
from servers import in_background


@pytest.fixture
def line(remote) -> Iterator[Line]:
    with in_background(Line(remote.port)) as line:
        yield line
        line.mend()


def test_nothing_half_stays_and_the_next_pull_finishes(owner, clone, remote, line, objects):
    clone.use(remote, **remote.through(line.server_address[1]))
    clone.pull()
    middle = line.passed - len(owner.content()) // 2  # the list comes first, and the card is small
    for stall in (False, True):
        clone.forget()
        line.break_after(middle, stall)
        process = clone.start("dvc", "pull", FOLDER)
        assert line.broken.wait(LIMIT)
        if stall:
            process.kill()
        process.communicate(timeout=LIMIT)
        if remote.kind == "s3" and not stall:  # whose client asks again for the rest
            assert process.returncode == 0 and clone.content() == owner.content()
        else:
            assert process.returncode and not (clone.path / FILE).exists()
            assert not (clone.path / ".dvc/cache" / objects[WEIGHTS]).exists()
    line.mend()
    clone.pull()
    assert clone.content() == owner.content()
