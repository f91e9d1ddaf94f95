"""Where the repository under test lies."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
