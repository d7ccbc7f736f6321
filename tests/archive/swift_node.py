"""OpenStack Swift with its S3 interface in one process: proxy, account, container and object server on loopback. Run by the Python of `.servers/swift`.

swift_node.py FOLDER PORT     keeps everything below FOLDER; prints {"port": ...} when it answers
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")  # eventlet says at import that it is not to be used for anything new

os.fsync = os.fdatasync = lambda _descriptor: None  # type: ignore[assignment]  # the machine's disk is not what is tested

import eventlet  # type: ignore[import-not-found]  # noqa: E402

eventlet.monkey_patch()

from eventlet import wsgi  # type: ignore[import-not-found]  # noqa: E402
from paste.deploy import loadapp  # type: ignore[import-not-found]  # noqa: E402
from swift.common import utils  # type: ignore[import-not-found]  # noqa: E402
from swift.common.ring import RingBuilder  # type: ignore[import-not-found]  # noqa: E402

STORES = ("account", "container", "object")
COMMON = """[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
log_level = ERROR
"""
STORE = """[app:main]
use = egg:swift#{name}
"""
PROXY = """[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats s3api tempauth slo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_city_node = node-secret .admin
user_city_guest = guest-secret
[filter:slo]
use = egg:swift#slo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
"""


class Nowhere:
    """Where requests are logged."""

    def write(self, *_: object) -> None: ...
    def flush(self) -> None: ...


def main(folder: Path, port: int) -> None:
    (folder / "devices" / "one").mkdir(parents=True, exist_ok=True)
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = tests\n")
    utils.SWIFT_CONF_FILE, utils.HASH_PATH_SUFFIX = str(folder / "swift.conf"), b"tests"
    front = eventlet.listen(("127.0.0.1", port))
    for name in STORES:
        inner = eventlet.listen(("127.0.0.1", 0))
        at = {"ip": "127.0.0.1", "port": inner.getsockname()[1]}
        ring = RingBuilder(4, 1, 0)
        ring.add_dev(
            {"region": 1, "zone": 1, "weight": 1, "device": "one", **at, **{f"replication_{key}": value for key, value in at.items()}}
        )
        ring.rebalance()
        ring.get_ring().save(str(folder / f"{name}.ring.gz"))
        serve(folder, name, STORE.format(name=name), inner)
    serve(folder, "proxy", PROXY, front)
    print(json.dumps({"port": front.getsockname()[1]}), flush=True)
    while True:  # until whoever started it is gone
        eventlet.hubs.trampoline(sys.stdin.fileno(), read=True)
        if not os.read(sys.stdin.fileno(), 4096):
            return


def serve(folder: Path, name: str, text: str, listener: object) -> None:
    path = folder / f"{name}.conf"
    path.write_text(COMMON.format(folder=folder) + text)
    eventlet.spawn(wsgi.server, listener, loadapp(f"config:{path}"), Nowhere())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
