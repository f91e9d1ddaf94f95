"""Headless Chromium without a network, and a small DVC project that has the repository's plot page."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from repository import ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LIMIT = 120  # seconds for one command
OFFLINE = (  # no name is found, and what needs none meets a closed port
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--proxy-server=127.0.0.1:9",
)
QUIET = (
    "--headless",
    "--no-sandbox",  # a container often has no user namespaces; the pages are our own
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=20000",  # milliseconds of the page's own clock, which runs ahead of ours
)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Callable[[Path], str]:
    """Return what turns a page into the DOM that Chromium makes of it without a network."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no Chromium is installed here, looked for {', '.join(BROWSERS)}")

    def dump(page: Path) -> str:
        profile = f"--user-data-dir={tmp_path_factory.mktemp('profile')}"
        command = [browser, *QUIET, *OFFLINE, profile, "--dump-dom", page.as_uri()]
        return subprocess.run(command, check=True, capture_output=True, encoding="utf-8", timeout=LIMIT).stdout

    return dump


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Callable[..., str]:
    """Return what runs a command in a project whose table and picture differ between HEAD and the workspace."""
    path = tmp_path_factory.mktemp("plots") / "project"
    path.mkdir()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_SITE_CACHE_DIR": str(path.with_name("site")),
    }

    def run(*command: str) -> str:
        return subprocess.run(
            command, cwd=path, env=environment, check=True, capture_output=True, text=True, timeout=LIMIT
        ).stdout

    run("git", "init", "-q")
    run("dvc", "init", "-q")
    for name in (".dvc/config", ".dvc/plots/page.html"):
        (path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, path / name)
    (path / "dvc.yaml").write_text(
        "plots:\n- losses.csv: {x: epoch, y: loss, title: Losses by epoch}\n- picture.png\n"
        "- missing.csv: {x: epoch, y: loss}\n"
    )
    save_results(path, 0.5, "white")
    run("git", "add", "-A")
    run("git", "-c", "user.name=Test", "-c", "user.email=test@localhost", "commit", "-qm", "First")
    save_results(path, 0.7, "black")
    return run


def save_results(folder: Path, factor: float, colour: str) -> None:
    from PIL import Image

    rows = [f"{epoch},{factor**epoch}" for epoch in range(5)]
    (folder / "losses.csv").write_text("\n".join(["epoch,loss", *rows]) + "\n")
    Image.new("RGB", (31, 17), colour).save(folder / "picture.png")
