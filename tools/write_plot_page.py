"""Write .dvc/plots/page.html, the page that `dvc plots show` and `dvc plots diff` fill, so that it works offline.

DVC's own page loads its drawing libraries from the network. This page holds them. Run `python tools/write_plot_page.py`
after a change of this file, or when the DVC of requirements.lock names other versions. It needs npm and its registry.
"""

import argparse
import base64
import hashlib
import html
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from string import Template
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".dvc/plots"
LIMIT = 300  # seconds for npm


class Library(NamedTuple):
    """One npm package, with the SHA-512 of its tarball in the form that npm prints."""

    name: str
    version: str
    integrity: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


# The versions that dvc_render names, in the order in which a page loads them. A test compares them.
LIBRARIES = (
    Library(
        "vega",
        "5.20.2",
        "sha512-qmH7aD9GGPpssVdxL1xgcdxTbQzyRUeRR16Os385ymvQhiwCYQNA6+eXUPAZDTVLfk0RXu6Jzj6kUE5jQ80EVw==",
    ),
    Library(
        "vega-lite",
        "5.2.0",
        "sha512-Yxcg8MvYfxHcG6BbkaKT0oVCIMIcE19UvqIsEwBmyd/7h2nzW7oRnID81T8UrY7hpDrIr6wa2JADOT2dhGNErw==",
    ),
    Library(
        "vega-embed",
        "6.18.2",
        "sha512-wcDyQPE4J5aiCDc3/suH5RQDvrKkjuLkhzUcbOLwEkNF8/+pp17tS0JghzEvAPNRg+5aG1/N2ydixq8Lk3dOlg==",
    ),
)
# What would end a script early, or what DVC would replace. No library may hold any of it.
FORBIDDEN = ("</script", "<!--", "{plot_divs}", "{scripts}", "{refresh_tag}")

# The policy lets the page load nothing but the pictures beside it. Vega compiles expressions: it needs 'unsafe-eval'.
# Plots keep white ground in the dark, since templates draw some marks in black and the pictures are white as well.
PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; \
style-src 'unsafe-inline'; img-src 'self' file: data: blob:; base-uri 'none'; form-action 'none'">
{refresh_tag}
<title>Plots of pre2post</title>
<style>
:root { --ground: #f4f5f7; --text: #1c2128; --quiet: #57606a; --edge: #d0d7de; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #15191f; --text: #e6edf3; --quiet: #9aa4af; --edge: #3d444d; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
header, main, footer, #missing { padding: 0 1.5rem; }
h1 { margin: 1.2rem 0 0; font-size: 1.5rem; }
header p, footer { color: var(--quiet); }
header p { margin: 0.2rem 0 1.2rem; }
footer { margin: 2rem 0; font-size: 0.875rem; }
#missing { margin: -0.6rem 0 1.2rem; color: var(--quiet); font-size: 0.875rem; }
pre { overflow-x: auto; }
main { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
main > div {
  max-width: 100%; padding: 1rem; overflow-x: auto;
  color-scheme: light; color: #1c2128; background: #fff; border: 1px solid var(--edge) !important; border-radius: 6px;
}
main > div:empty { display: none; }
main > div:has(> div > img) { display: flex; flex-wrap: wrap; gap: 1rem; width: 100%; white-space: normal !important; }
main > div > p { width: 100%; margin: 0; font-weight: 600; text-align: left; }
main > div > div:has(> img) { margin: 0 !important; border: 0 !important; text-align: left; flex: 1 1 20rem; }
main > div > div > p { margin: 0 0 0.3rem; color: #57606a; }
main img { max-width: 100%; height: auto; }
main table { border-spacing: 1rem 0.2rem; }
.vega-bind { font-size: 0.8125rem; }
.failed { color: #b3261e; }
</style>
$scripts
<script>
// DVC calls vegaEmbed from a script inside each plot. The element itself is found even where its name is no selector.
// Marks as SVG print sharply. The menu leaves out the editor, since that would send the data to a web site.
window.vegaEmbed = (draw => (selector, spec) => {
  const place = document.currentScript.parentElement;
  if (!Object.keys(spec).length) {  // what DVC writes for a table that is missing or lacks the column
    const missing = document.getElementById("missing");
    missing.hidden = false;
    missing.lastElementChild.append(Object.assign(document.createElement("li"), {textContent: place.id}));
    return place.remove();
  }
  const actions = {export: true, source: true, compiled: false, editor: false};
  return draw(place, spec, {renderer: "svg", actions}).catch(error => {
    const note = document.createElement("p");
    note.className = "failed";
    note.textContent = "This plot cannot be drawn: " + error.message;
    place.append(note);
  });
})(window.vegaEmbed);
</script>
</head>
<body>
<header>
<h1>Plots of pre2post</h1>
<p>Virtual contrast in breast MRI: tables and pictures of the study, drawn by DVC. This page needs no network.</p>
<noscript><p>The plots need JavaScript. The pictures do not.</p></noscript>
</header>
<details id="missing" hidden><summary>Some plots have no data here</summary><ul></ul></details>
<main>
{plot_divs}
</main>
<footer>
<details><summary>Drawn with $names. Licences</summary><pre>$licences</pre></details>
</footer>
</body>
</html>
""")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=FOLDER / "page.html", help="default: .dvc/plots/page.html")
    output = parser.parse_args().output
    licences = (FOLDER / "LICENSES.txt").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        scripts = [_script(library, _packed(library, Path(folder)), licences) for library in LIBRARIES]
    text = PAGE.substitute(
        scripts="\n".join(scripts),
        names=", ".join(f"{library.name} {library.version}" for library in LIBRARIES),
        licences=html.escape(licences),
    )
    temporary = output.with_name(f".{os.getpid()}.tmp.{output.name}")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)
    print(f"{output}: {len(text.encode())} bytes")


def _packed(library: Library, folder: Path) -> Path:
    """Return the tarball of a library, which npm brings and whose SHA-512 is the pinned one."""
    npm = shutil.which("npm")
    if npm is None:
        _fail("npm is not installed; what to do: install Node.js, or keep the page that Git holds")
    command = [npm, "pack", str(library), "--ignore-scripts", "--loglevel", "error", "--pack-destination", str(folder)]
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        _fail(f"npm pack {library} did not end within {LIMIT} seconds; what to do: check the network, try again")
    path = folder / f"{library.name}-{library.version}.tgz"
    if ended.returncode or not path.is_file():
        said = " ".join(ended.stderr.split())[:300]
        _fail(f"npm pack {library} brought no tarball; found: {said or 'no message'}")
    found = "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if found != library.integrity:
        _fail(f"{path.name} is not the pinned tarball; found: {found}; expected: {library.integrity}")
    return path


def _script(library: Library, tarball: Path, licences: str) -> str:
    """Return the script element of a library, whose licence text must be among `licences`."""
    with tarfile.open(tarball) as archive:
        code = _member(archive, f"package/build/{library.name}.min.js")
        licence = _member(archive, "package/LICENSE").strip()
    if licence not in licences:
        _fail(f".dvc/plots/LICENSES.txt lacks the licence text of {library}; what to do: add it")
    if found := [text for text in FORBIDDEN if text in code]:
        _fail(f"{library} cannot be put into a page; found: {', '.join(found)}")
    lines = [line for line in code.splitlines() if not line.startswith("//# sourceMappingURL=")]  # there is no map
    return f'<script data-library="{library}">\n' + "\n".join(lines) + "\n</script>"


def _member(archive: tarfile.TarFile, name: str) -> str:
    file = archive.extractfile(name)
    assert file is not None, name  # a file of a pinned tarball
    return file.read().decode("utf-8")


def _fail(problem: str) -> NoReturn:
    sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
