"""Keeps the reference pages equal to the code, and every link of every page whole.

``scripts/docs.py`` complains and ends with 1 when a page is not what the code says; ``--write`` writes it anew. Generated
is what stands between ``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``, and the JSON Schema of each kind of document.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import typer
from pydantic_core import PydanticUndefined

import broker
from broker.cli.commands import app
from broker.errors import Fault
from broker.federation.documents import json_schemas
from broker.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "docs" / "reference" / "schemas"
_BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)
_FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="write the generated parts anew")
    complaints = [*generate(write=parser.parse_args().write), *broken_links()]
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


# --- generated parts -----------------------------------------------------------------------------------------------


def generate(*, write: bool) -> Iterator[str]:
    """A complaint for each page that is not what the code says, and was not written anew."""
    for file, right in (*_generated_pages(), *_json_schemas()):
        if file.exists() and file.read_text("utf-8") == right:
            continue
        if write:
            file.write_text(right, "utf-8")
        else:
            yield f"{file.relative_to(ROOT)}: not what the code says; `make docs` writes it anew"


def _generated_pages() -> Iterator[tuple[Path, str]]:
    for page in pages():
        text = page.read_text("utf-8")
        yield page, _BLOCK.sub(lambda block: f"{block[1]}\n{GENERATORS[block[2]]()}\n\n{block[3]}", text)


def _json_schemas() -> Iterator[tuple[Path, str]]:
    for kind, schema in json_schemas().items():
        yield SCHEMAS / f"{kind}.json", json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def settings() -> str:
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in ("", PydanticUndefined) else f"`{field.default}`"
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {_cell(field.description or '')} |")
    return "\n".join(rows)


def commands() -> str:
    return "\n\n".join(_command(command, name) for name, command in _commands(typer.main.get_command(app), "broker"))


def refusals() -> str:
    """One row for each class of refusal, in the order of their codes."""
    for module in pkgutil.walk_packages(broker.__path__, "broker."):
        if not module.name.startswith(("broker.demo", "broker.database.migrations")) and "__main__" not in module.name:
            importlib.import_module(module.name)
    rows = ["| code | whose fault | HTTP | to a SAML service | to an OIDC service | meaning |", "| --- " * 6 + "|"]
    for fault in sorted(_faults(Fault), key=lambda each: each.code):
        status = " / ".join(each.rpartition(":")[2] for each in fault.saml_status)
        meaning = (
            _cell((fault.__doc__ or "").strip().splitlines()[0]) if "__doc__" in vars(fault) and fault.__doc__ else ""
        )
        rows.append(
            f"| `{fault.code}` | {fault.whose} | {fault.http_status} | {status} | `{fault.oauth_error}` | {meaning} |"
        )
    return "\n".join(rows)


GENERATORS: dict[str, Callable[[], str]] = {"settings": settings, "commands": commands, "refusals": refusals}


def _commands(command: object, name: str) -> Iterator[tuple[str, object]]:
    for each, sub in sorted(getattr(command, "commands", {}).items()):
        if hasattr(sub, "commands"):
            yield from _commands(sub, f"{name} {each}")
        else:
            yield f"{name} {each}", sub


def _command(command: object, name: str) -> str:
    arguments, rows = "", ["| option | default | meaning |", "| --- | --- | --- |"]
    for parameter in getattr(command, "params", ()):
        if parameter.param_type_name == "argument":
            arguments += f" {parameter.name.upper()}" if parameter.required else f" [{parameter.name.upper()}]"
            continue
        default = (
            "" if parameter.default in (None, False, "") or callable(parameter.default) else f"`{parameter.default}`"
        )
        rows.append(f"| `{parameter.opts[0]}` | {default} | {_cell(parameter.help or '')} |")
    table = ["\n".join(rows)] if len(rows) > 2 else []
    return "\n\n".join([f"### `{name}{arguments}`", *_paragraphs(getattr(command, "help", "") or ""), *table])


def _paragraphs(text: str) -> Iterator[str]:
    """A command's help, with its example as code."""
    for paragraph in re.split(r"\n\s*\n", text):
        words, _, example = " ".join(paragraph.split()).partition("Example: ")
        yield from (each for each in (_cell(words.strip()), example and f"Example: `{example}`") if each)


def _faults(parent: type[Fault]) -> Iterator[type[Fault]]:
    for each in parent.__subclasses__():
        if "code" in vars(each):
            yield each
        yield from _faults(each)


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")


# --- links ---------------------------------------------------------------------------------------------------------


def pages() -> list[Path]:
    """Every page that is in the repository, or about to be."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [ROOT / name for name in sorted(listed) if (ROOT / name).exists()]


def broken_links() -> Iterator[str]:
    for page in pages():
        for target in _links(page.read_text("utf-8")):
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists():
                yield f"{page.relative_to(ROOT)}: no such file: {target}"
            elif anchor and file.suffix == ".md" and anchor not in _anchors(file.read_text("utf-8")):
                yield f"{page.relative_to(ROOT)}: no such heading: {target}"


def _links(text: str) -> list[str]:
    return _LINK.findall(_CODE.sub("", _FENCED.sub("", text)))


def _anchors(text: str) -> set[str]:
    """As the common forges make them of headings."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(_FENCED.sub("", text)))
    return {heading.strip().replace(" ", "-") for heading in plain}


if __name__ == "__main__":
    sys.exit(main())
