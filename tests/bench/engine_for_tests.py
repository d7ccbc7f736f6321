"""An engine in a program of its own that is plain Python: what `bench.apart` measures in its tests. The second argument is how it misbehaves."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bench.peers.apart.folder import Folder
from bench.peers.plain import Plain

folder = Folder(Path(sys.argv[1]))
print("an engine that talks on standard output")
if sys.argv[2] == "dies":
    sys.exit("ValueError: no such thing")
plain = Plain(folder.rules)
folder.ready()
if sys.argv[2] == "hangs":
    time.sleep(60)
seconds = []
for start, stop in folder.cuts():
    began = time.perf_counter()
    plain.push(folder.stream, start, stop)
    seconds.append(time.perf_counter() - began)
plain.finish()
folder.done()
folder.answer(plain.answers, seconds, version="plain 1.0")
