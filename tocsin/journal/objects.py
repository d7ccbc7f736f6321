"""Snapshots in the server's object store, so that a process on another machine can go on from them."""

from __future__ import annotations

import asyncio
import logging
import zlib
from dataclasses import dataclass
from typing import Any, Final

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import ObjectMeta, ObjectMetaOptions, ObjectStoreConfig, StorageType
from nats.js.errors import APIError, BucketNotFoundError, NotFoundError
from nats.js.object_store import ObjectStore

from tocsin.kernel.fault import Retriable

from .connection import Journal

log = logging.getLogger(__name__)

BUCKET: Final = "SNAPSHOTS"
_CHUNK: Final = 512 << 10
_PATIENCE: Final = 30.0
_TROUBLE: Final = (nats.errors.Error, APIError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Stored:
    """`seq`: the journal entry that the content reaches to."""

    seq: int
    content: bytes


async def put(journal: Journal, name: str, seq: int, content: bytes) -> int:
    """Replaces an object; how many bytes were stored. Raises Retriable."""
    packed = await asyncio.to_thread(zlib.compress, content, 1)
    try:
        async with asyncio.timeout(_PATIENCE):
            store = await _store(journal)
            await store.put(name, packed, ObjectMeta(name=name, description=str(seq), options=ObjectMetaOptions(max_chunk_size=_CHUNK)))
    except _TROUBLE as error:
        raise Retriable(f"the snapshot {name} could not be put into the object store: {error!r}", after=5.0) from None
    return len(packed)


async def newest(journal: Journal, name: str) -> int:
    """The journal entry that the stored object reaches to, 0 when there is none. Raises Retriable."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return int((await (await _store(journal)).get_info(name)).description or 0)
    except NotFoundError:
        return 0
    except _TROUBLE as error:
        raise Retriable(f"the object store does not answer: {error!r}", after=1.0) from None


async def get(journal: Journal, name: str) -> Stored | None:
    """The object; None when there is none, or (said in the log) it is damaged. Raises Retriable."""
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await (await _store(journal)).get(name)
        content = await asyncio.to_thread(zlib.decompress, found.data or b"")
    except NotFoundError:
        return None
    except zlib.error as error:
        log.warning("the snapshot %s in the object store is not used: %s", name, error)
        return None
    except _TROUBLE as error:
        raise Retriable(f"the object store does not answer: {error!r}", after=1.0) from None
    return Stored(int(found.info.description or 0), content)


async def _store(journal: Journal) -> ObjectStore:
    """The bucket, made when it is missing."""
    link = await journal.ready()
    context: JetStreamContext = link.client.jetstream()
    try:
        return await context.object_store(BUCKET)
    except (BucketNotFoundError, NotFoundError):
        config: dict[str, Any] = {"description": "state of correlation, to go on from", "storage": StorageType.FILE}
        return await context.create_object_store(BUCKET, ObjectStoreConfig(bucket=BUCKET, replicas=journal.endpoint.replicas, **config))
