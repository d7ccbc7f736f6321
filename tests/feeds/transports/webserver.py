"""A real HTTP server in the test's process, on a free port."""

import asyncio
import contextlib

import uvicorn
from house import until


class Server(uvicorn.Server):
    """A server in this process on a free port."""

    def capture_signals(self):
        return contextlib.nullcontext()

    @property
    def url(self) -> str:
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"


async def started(app) -> tuple[Server, asyncio.Task]:
    server = Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="error", lifespan="off", ws="none"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    return server, serving
