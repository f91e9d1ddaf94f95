"""Push and pull through OpenSSH, S3 and HTTP, and every way in which an object on the server can be damaged."""

import shutil

import pytest
from dvc.exceptions import CheckoutError
from dvc.repo import Repo
from project import FILE, FOLDER, WEIGHTS, Project

from pre2post.core.errors import InputError
from pre2post.pipeline.model_card import read_card
from pre2post.pix2pixhd.checkpoint import load_generator

DAMAGE = {
    "one bit": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "truncated": lambda content: content[: len(content) // 2],
    "emptied": lambda content: b"",
}
NO_OBJECT = {"ssh": "[Errno 2] No such file or directory", "s3": "The specified key does not exist", "http": "http://"}
NOT_CHECKED_OUT = f"Checkout failed for following targets:\n{FOLDER}"
over_http = pytest.mark.parametrize("remote", ["http"], indirect=True)  # for what is the same over every kind


@pytest.fixture
def damage(remote, objects):
    """Changes an object, or removes it (None); all are put back at the end: damage("list", function of its bytes)."""
    kept = {}

    def change(name: str, how) -> None:
        kept.setdefault(name, remote.read(objects[name]))
        if how is None:
            remote.remove(objects[name])
        else:
            remote.write(objects[name], how(kept[name]))

    yield change
    for name, content in kept.items():
        remote.write(objects[name], content)


def test_a_second_clone_pulls_equal_bytes(owner, clone):
    clone.run("dvc", "pull", FOLDER)
    assert clone.content() == owner.content()
    assert read_card(clone.path / FILE) and load_generator(clone.path / FILE)


def test_a_damaged_object_is_refused_named_and_healed(owner, clone, remote, damage):
    for change in DAMAGE.values():
        damage(WEIGHTS, change)
        with pytest.raises(CheckoutError):
            clone.pull()
        assert not (clone.path / FILE).exists()
        clone.forget()
    assert NOT_CHECKED_OUT in clone.run("dvc", "pull", FOLDER, expect=1)
    assert not (clone.path / FILE).exists()
    told = clone.check_remote(expect=1)
    assert f"{FILE}: damaged: 0 bytes" in told and "check-remote --repair" in told
    if not remote.pushes_to:
        assert "uploaded again, intact now" in owner.check_remote("--repair")
        clone.pull()
        assert clone.content() == owner.content()


def test_a_removed_object_is_told_and_sent_again_though_push_sees_nothing_to_do(owner, clone, remote, damage, objects):
    damage(WEIGHTS, None)
    md5 = "".join(objects[WEIGHTS].split("/")[-2:])
    assert f"failed to transfer '{md5}' - {NO_OBJECT[remote.kind]}" in clone.fail("dvc", "pull", FOLDER)
    assert not (clone.path / FILE).exists()
    told = owner.check_remote(FOLDER, expect=1)
    assert f"{FILE}: missing" in told and "1 missing or damaged" in told
    if not remote.pushes_to:
        assert "up to date" in owner.run("dvc", "push")  # the trap
        owner.check_remote("--repair")
        clone.pull()
        assert clone.content() == owner.content()


@over_http
def test_a_damaged_list_of_files_is_refused(clone, damage):
    damage("list", DAMAGE["truncated"])
    assert "is corrupted" in clone.run("dvc", "pull", FOLDER, expect=255)
    assert not (clone.path / FOLDER).exists()
    assert f"{FOLDER}: damaged" in clone.check_remote(expect=1)


@over_http
def test_nothing_local_is_lost_in_a_failed_pull(owner, clone, damage, objects):
    clone.pull()
    damage(WEIGHTS, DAMAGE["one bit"])
    (clone.path / FILE).unlink()
    clone.run("dvc", "checkout")
    assert clone.content() == owner.content()
    (clone.path / ".dvc/cache" / objects[WEIGHTS]).unlink()
    clone.run("dvc", "pull", "--force", FOLDER)  # says "1 file fetched": what it got is thrown away, the output stays
    assert clone.content() == owner.content() and not (clone.path / ".dvc/cache" / objects[WEIGHTS]).exists()


@over_http
def test_without_verify_dvc_takes_what_it_gets_and_the_card_refuses_it(clone, remote, damage, refused):
    damage(WEIGHTS, DAMAGE["one bit"])
    clone.use(remote, verify="false")
    clone.run("dvc", "pull", FOLDER)
    refused(lambda: read_card(clone.path / FILE), WEIGHTS, "do not match their card")
    damage(WEIGHTS, DAMAGE["truncated"])
    clone.forget()
    clone.run("dvc", "pull", FOLDER)
    with pytest.raises(InputError, match="cannot be read"):
        load_generator(clone.path / FILE)


def test_what_cannot_be_reached_or_entered_is_told_in_one_line(clone, remote):
    """One line of ours for each; docs/reference/dvc-messages.md has what DVC prints."""

    def told(*more: str) -> str:
        printed = clone.check_remote(*more, expect=1)
        last = printed.splitlines()[-1]
        assert last.startswith("error: ") and sum("error: " in line for line in printed.splitlines()) == 1, printed
        return last

    assert "remote 'nowhere' doesn't exist" in told("--remote", "nowhere")
    if remote.kind == "ssh":
        clone.use(remote, keyfile="/nonexistent")
        assert "refuses access" in told() and "/nonexistent" in told()
        clone.use(remote, port="1")
        assert "Connect call failed" in told()
    elif remote.kind == "http":
        clone.use(remote, url="http://127.0.0.1:1")
        assert "no object is on the remote" in told()
    else:
        clone.use(remote, endpointurl="http://127.0.0.1:1")
        assert "Could not connect" in told()
        if remote.server != "moto":  # which lets everybody in
            clone.use(remote, secret_access_key="wrong")
            assert "refuses access" in told()


def test_the_repositorys_own_remote_is_a_folder_at_home_and_verifies_wherever_it_is_pointed(owner, tmp_path):
    project = Project(shutil.copytree(owner.path, tmp_path / "copy", ignore=shutil.ignore_patterns("config.local")))
    project.run("dvc", "push")
    assert list((tmp_path / "pre2post-shared").rglob("*")), "nothing was pushed home"
    project.run("dvc", "remote", "modify", "--local", "shared", "url", "ssh://somewhere/else")
    with Repo(project.path) as repo:
        assert repo.config["remote"]["shared"] == {"url": "ssh://somewhere/else", "verify": True}
