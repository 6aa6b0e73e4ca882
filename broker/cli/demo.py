"""``broker demo``: the whole thing on this machine, with no configuration."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from broker.cli.console import Json, fail, out, print_json, print_table

if TYPE_CHECKING:
    from broker.demo.world import Ports


def demo(
    check: Annotated[
        bool, typer.Option("--check", help="Log in through every flow, print the table, and end.")
    ] = False,
    port: Annotated[int, typer.Option(min=1024, max=65000, help="The broker's port; four more follow it.")] = 8080,
    folder: Annotated[Path, typer.Option("--dir", help="Where keys and data are kept.")] = Path("var/demo"),
    as_json: Json = False,
) -> None:
    """Two cities, two services and the broker between them. Example: broker demo --check"""
    from broker.app import StartError
    from broker.demo.world import DemoUnavailable, Ports
    from broker.logs import configure

    configure("warning")
    ports = Ports(broker=port, meeting_rooms=port + 1, shared_wiki=port + 2, pori=port + 3, ulvila=port + 4)
    try:
        right = asyncio.run(_check(folder, ports, as_json) if check else _serve(folder, ports, as_json))
    except (DemoUnavailable, StartError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.strerror or error}: the demo needs the ports {port} to {port + 4}; choose others with --port")
    raise typer.Exit(0 if right else 1)


async def _serve(folder: Path, ports: Ports, as_json: bool) -> bool:
    from broker.demo.whole import whole_demo
    from broker.demo.world import base_url

    stopped = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stopped.set)
    async with whole_demo(folder.absolute(), ports):
        addresses = {name: base_url(getattr(ports, name)) for name in ("shared_wiki", "meeting_rooms", "broker")}
        if as_json:
            typer.echo(json.dumps(addresses))
        else:
            out.print(f"Open  [bold]{addresses['shared_wiki']}[/]  and log in. Two cities have four demo staff each.")
            out.print(f"The other service: {addresses['meeting_rooms']}    The broker: {addresses['broker']}")
            out.print("Stop with Ctrl-C.")
        await stopped.wait()
    return True


async def _check(folder: Path, ports: Ports, as_json: bool) -> bool:
    from broker.demo.check import check_all
    from broker.demo.whole import whole_demo

    async with whole_demo(folder.absolute(), ports) as (prepared, _):
        result = await check_all(prepared)
    if as_json:
        print_json({"ok": result.ok, "rows": [row.as_json() for row in result.rows]})
    else:
        columns = ("flow", "person", "organisation", "service", "released", "ms", "result")
        print_table(columns, [row.cells() for row in result.rows])
        out.print("Every login was answered as it should be." if result.ok else "Not every login was right.")
    return result.ok
