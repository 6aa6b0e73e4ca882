"""An Apache httpd of the tests' own: on loopback ports, in a folder of its own, ended by its process id.

mod_auth_mellon and mod_auth_openidc are the services, SimpleSAMLphp (by mod_php) the city: both as Debian packages them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

HOST = "127.0.0.1"
SIMPLESAMLPHP = Path("/usr/share/simplesamlphp")
_MODULES = Path("/usr/lib/apache2/modules")
_PATIENCE_SECONDS = 20.0
# Apache does not serve as root; its workers then have a user of their own.
_USER = "www-data"


def configuration(folder: Path, ports: Sequence[int], hosts: str) -> str:
    """``hosts``: the VirtualHosts."""
    (php,) = _MODULES.glob("libphp*.so")
    names = (
        "mpm_prefork",
        "authn_core",
        "authz_core",
        "authz_user",
        "auth_mellon",
        "auth_openidc",
        "alias",
        "dir",
        "env",
        "mime",
    )
    modules = [f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in names]
    listens = [f"Listen {HOST}:{port}" for port in ports]
    user = [f"User {_USER}", f"Group {_USER}"] if os.geteuid() == 0 else []
    return "\n".join(
        [
            f"ServerRoot {folder}",
            f"ServerName {HOST}",
            f"DefaultRuntimeDir {folder}/run",
            f"PidFile {folder}/run/apache.pid",
            f"ErrorLog {folder}/error.log",
            "LogLevel warn auth_mellon:info",
            "StartServers 2",
            "MinSpareServers 1",
            "MaxSpareServers 4",
            "MaxRequestWorkers 10",
            *modules,
            f"LoadModule php_module {php}",
            *user,
            *listens,
            "TypesConfig /dev/null",
            "AddType application/x-httpd-php .php",
            "DirectoryIndex index.php",
            hosts,
        ]
    )


@contextmanager
def running(folder: Path, address: str) -> Iterator[None]:
    """Apache with ``folder/httpd.conf`` until the end of the block. ``address``: answers when it is up."""
    program = shutil.which("apache2", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert program, "Apache is not installed: `make setup` installs it"
    command = [program, "-f", str(folder / "httpd.conf"), "-DFOREGROUND"]
    # Apache ends its whole process group: it gets one of its own.
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    try:
        _wait_for(address, process, folder)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=_PATIENCE_SECONDS)


def _wait_for(address: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            assert process.stderr
            log = folder / "error.log"
            said = process.stderr.read().decode() + (log.read_text("utf-8") if log.exists() else "")
            raise AssertionError(f"Apache ended: {said}")
        try:
            urlopen(address, timeout=2).close()  # noqa: S310 - a loopback address of ours
        except HTTPError as answer:
            answer.close()
            return
        except (URLError, OSError):
            time.sleep(0.05)
        else:
            return
    raise AssertionError("Apache does not answer")
