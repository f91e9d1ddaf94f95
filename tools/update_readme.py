"""Write the short form of the results into README.md, between its two markers. Run by `make docs`."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
START, END = "<!-- results -->", "<!-- end of results -->"


def with_block(text: str, block: str) -> str:
    """Return the text with `block` between the markers. Raises ValueError where there are none."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"there is no {START} ... {END}")
    return f"{before}{START}\n{block}\n{END}{after}"


def main() -> None:
    sys.path.insert(0, str(ROOT / "src"))
    from pre2post.report.results_page import readme_block
    from write_results import read_results

    file = ROOT / "README.md"
    file.write_text(with_block(file.read_text(encoding="utf-8"), readme_block(read_results())), encoding="utf-8")


if __name__ == "__main__":
    main()
