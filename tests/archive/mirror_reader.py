"""A process that looks at all of a mirror until it is told to go on: how many bytes the files have, and how many it could read (ADDRESS CACHE ROOM)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from s3_server import bucket_of

from tocsin.archive.mirror.cache import Cache
from tocsin.archive.mirror.mirrored import Mirrored
from tocsin.model.archive import Want
from tocsin.model.mirror import parse

bucket = bucket_of(parse(sys.argv[1]))
mirror = Mirrored(bucket, Cache(Path(sys.argv[2]), bucket, int(sys.argv[3])))
with mirror.look(Want()) as look:
    print(sum(file.path.stat().st_size for file in look.files), flush=True)
    sys.stdin.readline()
    print(sum(len(file.path.read_bytes()) for file in look.files), flush=True)
