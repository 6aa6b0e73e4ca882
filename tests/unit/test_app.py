"""The composition root: what a wrong file of authorities says at the start (promise P9)."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.app import StartError, mutual_tls
from broker.settings import Settings


def settings(file: Path | None) -> Settings:
    return Settings(
        client_certificate_header="Client-Cert", trusted_proxies="127.0.0.1", client_certificate_authorities=file
    )


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_p9_authorities_that_cannot_be_read_stop_the_start(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StartError, match="BROKER_CLIENT_CERTIFICATE_AUTHORITIES"):
        mutual_tls(settings(file))


def test_without_the_header_there_are_no_certificates() -> None:
    assert mutual_tls(Settings()) is None
    found = mutual_tls(settings(None))
    assert found is not None
    assert (found.base_url, found.authorities) == (None, ())
