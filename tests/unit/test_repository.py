"""What holds for the repository as a whole."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Written in two parts, so that this file does not find itself.
REGISTRIES = ("pypi" + ".org", "python" + "hosted", "npmjs" + ".org", "crates" + ".io", "deb.debian" + ".org")
SECRETS = {
    "private key": re.compile("-----BEGIN (?:[A-Z]+ )?PRIVATE" + " KEY-----\n[A-Za-z0-9+/]"),
    "JSON Web Key": re.compile(r'"d"\s*:\s*"[A-Za-z0-9_-]{40,}"'),
    "token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16}|eyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,})"),
}
# A directory's homeDirectory is data; a file below somebody's home is a machine's.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:(?:home|Users)/[\w.-]+|root|work|workspace)/[\w.-]+")


def git(*arguments: str) -> list[str]:
    command = ["git", "-c", "safe.directory=*", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Every text file that is in the repository or about to be, by its path."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return dict(_readable(listed))


def _readable(names: list[str]) -> Iterator[tuple[str, str]]:
    for name in sorted(set(names) - {""}):
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes())[:8192]:
            yield name, content.decode("utf-8")


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return found


@pytest.mark.parametrize("host", REGISTRIES)
def test_no_file_names_the_address_of_a_registry(texts: dict[str, str], host: str) -> None:
    assert [name for name, text in texts.items() if host in text] == []


@pytest.mark.parametrize("kind", SECRETS)
def test_no_secret_is_in_the_repository(texts: dict[str, str], kind: str) -> None:
    assert [name for name, text in texts.items() if SECRETS[kind].search(text)] == []


def test_no_key_or_database_file_is_in_the_repository(texts: dict[str, str]) -> None:
    endings = (".pem", ".key", ".p12", ".pfx", ".sqlite", ".db", ".env")

    assert [name for name in texts if name.endswith(endings) and not name.startswith("tests/")] == []


def test_certs_holds_nothing_but_what_says_what_belongs_there(texts: dict[str, str]) -> None:
    assert [name for name in texts if name.startswith("certs/")] == ["certs/README.md"]


def test_no_path_of_one_machine_is_in_the_repository(texts: dict[str, str]) -> None:
    allowed = {"tests/unit/test_repository.py"}

    assert {
        name: MACHINE_PATH.findall(text) for name, text in texts.items() if MACHINE_PATH.search(text)
    }.keys() <= allowed


def test_every_locked_file_has_its_hash_and_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())

    assert [each for each in entries if not re.match(r"[a-z0-9._-]+==\S+ (?:; [^\\]+)?\\\n", each)] == []
    assert [each for each in entries if "--hash=sha256:" not in each] == []
    assert "://" not in text
    assert "--index-url" not in text


def test_every_dependency_is_locked(project: dict[str, object]) -> None:
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE))
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    assert isinstance(project["dependencies"], list)
    named = [*project["dependencies"], *extras["demo"], *extras["dev"]]

    names = {re.split(r"[\[<>=~! ;]", each)[0].lower().replace("_", "-") for each in named}
    assert names - locked == set()


def test_npms_lock_has_hashes_and_no_address(texts: dict[str, str]) -> None:
    for name in (each for each in texts if each.endswith("package-lock.json")):
        assert '"resolved"' not in texts[name]
        assert '"integrity"' in texts[name]


def test_the_changelog_knows_the_version(project: dict[str, object]) -> None:
    assert f"## [{project['version']}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_licence_is_the_one_that_is_named(project: dict[str, object]) -> None:
    assert project["license"] == "EUPL-1.2"
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("EUROPEAN UNION PUBLIC LICENCE v. 1.2\n")


def test_every_target_of_the_makefile_is_in_its_help() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    phony = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split())
    helped = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))

    assert {"setup", "demo", "test", "lint", "type", "bench", "interop", "fuzz", "docs"} <= helped
    assert phony - helped == {"debian-demo", "debian-test"}


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "adr"
    listed = (folder / "README.md").read_text("utf-8")

    assert [each.name for each in folder.glob("0*.md") if f"({each.name})" not in listed] == []


def test_every_setting_command_and_refusal_is_documented_and_every_link_leads_somewhere() -> None:
    done = subprocess.run([sys.executable, "scripts/docs.py"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.returncode == 0


def test_imports_run_downwards_only() -> None:
    """The contracts in pyproject.toml, as ``make lint`` asks them."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_every_test_that_the_threat_model_names_is_there() -> None:
    page = (ROOT / "docs" / "explanation" / "threat-model.md").read_text("utf-8")
    files = set(re.findall(r"`(tests/[a-z_0-9/]+\.py)`", page))
    names = set(re.findall(r"`(test_\w+)`", page))
    assert len(names) > 30
    assert [each for each in sorted(files) if not (ROOT / each).is_file()] == []
    written = "".join(each.read_text("utf-8") for each in sorted((ROOT / "tests").glob("**/test_*.py")))
    assert [each for each in sorted(names) if not re.search(rf"def {each}\(", written)] == []
