"""A worker process: racer.py URL take|add PREFIX RECORDS. Prints the names of those records that it won."""

import asyncio
import sys
from datetime import timedelta

from broker.state.open import open_store


async def main(url: str, method: str, prefix: str, records: int) -> None:
    store = await open_store(url)
    await store.ping()
    print("ready", flush=True)
    sys.stdin.readline()
    names = [f"{prefix}:{number}" for number in range(records)]
    if method == "take":
        won = await asyncio.gather(*(store.take(name) for name in names))
    else:
        won = await asyncio.gather(*(store.add(name, b"", timedelta(minutes=1)) for name in names))
    print("\n".join(name for name, value in zip(names, won, strict=True) if value))
    await store.close()


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
