"""Node-RED: tcp in (one JSON event a line) -> json -> function -> tcp out; a batch is over when the flow has answered its last line.

    INTERPRETER -m bench.peers.apart.nodered_run FOLDER

The flow connects to us, on loopback: its own tcp server would listen on every interface. Making the JSON lines is not in the time measured,
sending and parsing them is: a flow gets its events as messages.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.environments import ROOT, home
from bench.peers.apart.folder import Folder

SETTINGS = """module.exports = {uiHost: "127.0.0.1", uiPort: 0, httpAdminRoot: false, httpNodeRoot: false, flowFile: "flows.json", credentialSecret: false,
  telemetry: {enabled: false}, logging: {console: {level: "warn"}}};
"""


def write_flow(folder: Path, rules: dict[str, list[tuple]], port: int) -> None:
    function = f"const RULES = {json.dumps(rules)};\n" + (ROOT / "bench" / "peers" / "nodered" / "function.js").read_text()
    nodes = [
        {"id": "t", "type": "tab", "label": "bench"},
        {"id": "i", "type": "tcp in", "z": "t", "server": "client", "host": "127.0.0.1", "port": str(port), "datamode": "stream",
         "datatype": "utf8", "newline": "\\n", "wires": [["j"]]},
        {"id": "j", "type": "json", "z": "t", "property": "payload", "action": "obj", "wires": [["f"]]},
        {"id": "f", "type": "function", "z": "t", "func": function, "outputs": 1, "wires": [["o"]]},
        {"id": "o", "type": "tcp out", "z": "t", "beserver": "reply", "wires": []},
    ]  # fmt: skip
    (folder / "flows.json").write_text(json.dumps(nodes))
    (folder / "settings.js").write_text(SETTINGS)


def lines(folder: Folder) -> list[bytes]:
    """One body a batch: its events and a line that asks for the answers."""
    s = folder.stream
    columns = [column.tolist() for column in (s.time, s.kind, s.source, s.lon, s.lat, s.value)]
    bodies = []
    for number, (start, stop) in enumerate(folder.cuts()):
        rows = zip(range(start, stop), *(column[start:stop] for column in columns), strict=True)
        text = [json.dumps({"seq": q, "t": t, "k": k, "s": i, "lon": x, "lat": y, "v": v}) for q, t, k, i, x, y, v in rows]
        text.append(json.dumps({"end": number, "last": stop == len(s)}))
        bodies.append(("\n".join(text) + "\n").encode())
    return bodies


def exchange(connection: socket.socket, bodies: list[bytes]) -> tuple[list[float], list[tuple[int, int]]]:
    """Sends batch after batch, each when the one before is answered; seconds a batch, and all answers."""
    seconds, found = [], []
    replies = connection.makefile("r")
    for body in bodies:
        began = time.perf_counter()
        connection.sendall(body)
        reply: dict[str, Any] = json.loads(replies.readline())
        seconds.append(time.perf_counter() - began)
        found += [(rule, position) for rule, position in reply["found"]]
    return seconds, found


def main() -> None:
    folder = Folder(Path(sys.argv[1]))
    bodies = lines(folder)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(120)
    write_flow(folder.path, folder.rules, listener.getsockname()[1])
    packages = home() / "nodered" / "node_modules" / "node-red"
    settings = ["--userDir", str(folder.path), "--settings", str(folder.path / "settings.js")]
    engine = subprocess.Popen(["node", str(packages / "red.js"), *settings], env=os.environ | {"NODE_OPTIONS": "--max-old-space-size=8192"})
    try:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        folder.ready()
        seconds, found = exchange(connection, bodies)
        folder.done()
    finally:
        engine.kill()
        engine.wait()
    folder.answer(found, seconds, version="Node-RED " + json.loads((packages / "package.json").read_text())["version"])


if __name__ == "__main__":
    main()
