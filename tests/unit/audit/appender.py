"""A worker process: appender.py URL NAME EVENTS [FILE_LIMIT]. Prints the reference of each event that is durable.

With FILE_LIMIT, no file may grow beyond so many octets: a disk that is full.
"""

import asyncio
import resource
import sys
from datetime import UTC, datetime

from broker.audit.events import AuditEvent
from broker.audit.log import DatabaseAuditLog
from broker.audit.writer import writer_for
from broker.database.engine import open_database
from broker.errors import AuditUnavailable


async def main(url: str, name: str, events: int) -> None:
    database = open_database(url)
    log = DatabaseAuditLog(writer_for(database))
    await log.start()
    numbers = iter(range(events))

    async def append_some() -> None:
        for number in numbers:
            reference = f"{name}-{number}"
            try:
                await log.append(AuditEvent(kind="login.answered", at=datetime.now(UTC), reference=reference))
            except AuditUnavailable:
                print("unavailable", flush=True)
            else:
                print(reference, flush=True)

    await asyncio.gather(*(append_some() for _ in range(10)))
    await log.close()
    await database.close()


if len(sys.argv) > 4:
    limit = int(sys.argv[4])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
