"""``broker export DIR``: writes the registry's documents back as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.console import Json, fail, out, print_json
from broker.cli.opening import registry, run
from broker.federation.registry import files


def export(
    folder: Annotated[Path, typer.Argument(help="The folder to write to; it is made if it is not there.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
    as_json: Json = False,
) -> None:
    """Write the documents in use to a folder. Example: broker export backup/"""

    async def read() -> tuple[int, dict[str, bytes]]:
        async with registry() as opened:
            revision, documents = await opened.current()
            return revision, dict(files(documents))

    revision, contents = run(read())
    if not contents:
        fail("nothing to export: no documents were applied yet")
    different = [
        path
        for path, content in contents.items()
        if (folder / path).exists() and (folder / path).read_bytes() != content
    ]
    if different and not force:
        fail("would overwrite, give --force if that is meant:\n" + "\n".join(different))
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    if as_json:
        print_json({"revision": revision, "files": sorted(contents)})
    else:
        out.print(f"Wrote {len(contents)} files of revision {revision} to {folder}.", markup=False)
