"""OpenStack Swift with its S3 interface: one replica, one disk, on loopback, everything below one folder.

Its servers read /etc/swift whatever they are told, so they run in a mount namespace of their own, where a folder of
ours lies there. That needs root.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from servers import free_port, running, wait_for

PROGRAMS = (
    "swift-proxy-server",
    "swift-account-server",
    "swift-container-server",
    "swift-object-server",
    "memcached",
    "unshare",
)
# Debian's eventlet ends the answer to a HEAD without a length as if it had a body, which strict clients cannot read.
HEAD_LENGTHS = """
def factory(settings, **local):
    def around(app):
        def answer(environ, start_response):
            def start(status, headers, error=None):
                lengths = [name for name, _ in headers if name.lower() == "content-length"]
                missing = environ["REQUEST_METHOD"] == "HEAD" and not lengths
                return start_response(status, headers + [("Content-Length", "0")] * missing, error)
            return app(environ, start)
        return answer
    return around
"""
PYTHON = "/usr/bin/python3"  # Debian's, which knows Swift
RINGS = """
import sys
from swift.common.ring import RingBuilder
for argument in sys.argv[1:]:
    path, port = argument.split(":")
    builder = RingBuilder(6, 1, 1)  # 2 ** 6 partitions, 1 replica, moved at most once an hour
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "sdb1", "weight": 1})
    builder.rebalance()
    builder.get_ring().save(path)
"""
KINDS = ("account", "container", "object")
SWIFT = """[swift-hash]
swift_hash_path_suffix = a
swift_hash_path_prefix = b
[storage-policy:0]
name = one
default = yes
"""
STORAGE = """[DEFAULT]
devices = {disks}
mount_check = false
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = root
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
PROXY = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = root
[pipeline:main]
pipeline = head_lengths catch_errors cache listing_formats s3api tempauth copy slo dlo versioned_writes proxy-server
[filter:head_lengths]
paste.filter_factory = head_lengths:factory
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
""" + "".join(
    f"[filter:{name}]\nuse = egg:swift#{name}\n"
    for name in ("catch_errors", "listing_formats", "s3api", "copy", "slo", "dlo", "versioned_writes")
)
ACCESS_KEY, SECRET_KEY = "test:tester", "testing"


def installed() -> bool:
    return os.geteuid() == 0 and Path("/etc/swift").is_dir() and all(map(shutil.which, PROGRAMS))


@contextmanager
def swift(folder: Path) -> Iterator[str]:
    """Yields the address of the S3 interface; ACCESS_KEY and SECRET_KEY open it."""
    etc, ports = folder / "etc", {kind: free_port() for kind in (*KINDS, "proxy", "memcached")}
    etc.mkdir(parents=True)
    (etc / "swift.conf").write_text(SWIFT)
    for kind in KINDS:
        (folder / "disks" / "sdb1").mkdir(parents=True, exist_ok=True)
        text = STORAGE.format(kind=kind, port=ports[kind], disks=folder / "disks")
        (etc / f"{kind}-server.conf").write_text(text)
    subprocess.run([PYTHON, "-c", RINGS, *(f"{etc}/{kind}.ring.gz:{ports[kind]}" for kind in KINDS)], check=True)
    (etc / "head_lengths.py").write_text(HEAD_LENGTHS)
    (etc / "proxy-server.conf").write_text(PROXY.format(port=ports["proxy"], memcached=ports["memcached"]))
    with ExitStack() as stack:
        stack.enter_context(
            running(
                ["memcached", "-u", "root", "-l", "127.0.0.1", "-p", str(ports["memcached"])], folder / "memcached.log"
            )
        )
        for kind in (*KINDS, "proxy"):
            command = f"mount --bind {etc} /etc/swift && exec swift-{kind}-server /etc/swift/{kind}-server.conf"
            stack.enter_context(
                running(
                    ["unshare", "--mount", "env", "PYTHONPATH=/etc/swift", "sh", "-c", command], folder / f"{kind}.log"
                )
            )
        for name, port in ports.items():
            wait_for(port, folder / f"{name}.log")
        yield f"http://127.0.0.1:{ports['proxy']}"
