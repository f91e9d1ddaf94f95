"""The words and the sentence lengths of README, docs, parameters, code and tests, and the tool that checks them."""

import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT
from tools.check_words import LIMIT, all_refused, all_sentences, instead_of, mean_words, refused_words, sentences

FILE = Path("page.md")
PAGE = """\
# A heading that is not counted. At all.

One two three. Four `five six` [seven](https://a.b/c).
Eight, e.g. Nine!

- An item
  that continues
- Another item: ends without a stop

| a table. | is not counted |

```sh
not counted. Not at all.
```

<!-- a comment.
Of two lines. --> ![An image](plots/a.png) Last words
"""


def test_no_word_is_refused():
    assert [str(found) for found in all_refused()] == []


def test_sentences_are_short():
    found = all_sentences()
    assert len(found) > 100
    assert mean_words(found) <= LIMIT


def test_sentences_are_those_of_the_prose():
    assert [(one.line, one.words, one.text) for one in sentences(FILE, PAGE)] == [
        (3, 3, "One two three."),
        (3, 4, "Four `five six` seven."),
        (3, 3, "Eight, e.g. Nine!"),
        (6, 4, "An item that continues"),
        (8, 6, "Another item: ends without a stop"),
        (17, 2, "Last words"),
    ]


@pytest.mark.parametrize(
    "text, words",
    [
        ("drawn anew, whoever it is", ["anew", "whoever"]),
        ("It goes with that and PAYS", ["goes with", "PAYS"]),
        ("a room, two rooms, headroom and room_name", ["room", "rooms"]),
        ("stands in for it; a stand-in and STAND_IN", ["stands in"]),
        ("payment, repays", []),
    ],
)
def test_words_are_found_as_words(text, words):
    assert [found.word for found in refused_words(FILE, text)] == words


def test_a_refused_word_is_shown_with_its_place_and_what_to_write():
    (found,) = refused_words(FILE, "first line\na Room")
    assert str(found) == 'page.md:2: "Room"; write: package, space'
    assert instead_of("going along with").startswith("correlates with")


def test_the_command_prints_both_and_its_exit_code_says_whether_all_is_well(tmp_path):
    for name in ("README.md", "docs/page.md", "tools/check_words.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / "tools/check_words.py").write_bytes((ROOT / "tools/check_words.py").read_bytes())
    (tmp_path / "README.md").write_text("Short and good.\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)

    def run() -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "tools/check_words.py"], cwd=tmp_path, check=False, capture_output=True, text=True
        )
        return done.returncode, done.stdout

    code, printed = run()
    assert code == 0 and "no refused word" in printed and "1 sentences, 3.0 words on average" in printed
    (tmp_path / "docs/page.md").write_text("Drawn anew.\n")
    code, printed = run()
    assert code == 1 and 'docs/page.md:1: "anew"' in printed
    (tmp_path / "docs/page.md").write_text("word " * 40 + "end.\n")
    code, printed = run()
    assert code == 1 and "no refused word" in printed and "22.0 words on average" in printed
