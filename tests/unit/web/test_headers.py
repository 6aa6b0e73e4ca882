"""P11: a strict policy for every page; static files that browsers keep for ever under names that tell their content."""

from __future__ import annotations

import gzip
import hashlib
import re

import pytest

from broker.web.headers import page_headers, static_address, static_files

NAMES = ("base.css", "components.css", "filter.js", "forward.js", "mail.js", "mark.svg", "tokens.css")


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("leaves_by_post", [True, False])
def test_no_policy_allows_inline_code_foreign_code_or_a_frame(secure: bool, leaves_by_post: bool) -> None:
    policy = page_headers(secure=secure, leaves_by_post=leaves_by_post)["Content-Security-Policy"]

    assert "unsafe" not in policy
    assert "*" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    sources = policy.partition("form-action")[0] + policy.partition("form-action")[2].partition(";")[2]
    assert "http" not in sources


def test_headers_cannot_be_changed_by_one_page_for_all_others() -> None:
    with pytest.raises(TypeError):
        page_headers(secure=True)["Cache-Control"] = "public"  # type: ignore[index]


def test_every_file_has_an_address_by_its_digest() -> None:
    for name in NAMES:
        file = static_files()[static_address(name).removeprefix("/static/")]
        digest = hashlib.sha256(file.body).hexdigest()[:12]
        assert static_address(name) == f"/static/{name.replace('.', f'.{digest}.', 1)}"
        assert file.etag == f'"{digest}"'
        assert gzip.decompress(file.gzipped) == file.body


def test_nothing_else_is_served() -> None:
    hashed = {static_address(name).removeprefix("/static/") for name in NAMES}
    assert len(hashed) == len(NAMES)
    assert set(static_files()) - hashed == {"favicon.ico", "mark.svg"}
    with pytest.raises(KeyError):
        static_address("../app.py")


def test_files_are_kept_for_a_year_and_those_of_a_fixed_name_for_a_day() -> None:
    for name, file in static_files().items():
        kept = "public, max-age=86400" if name in ("favicon.ico", "mark.svg") else "public, max-age=31536000, immutable"
        assert file.headers["Cache-Control"] == kept
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert file.headers["Vary"] == "Accept-Encoding"


def test_an_svg_that_is_opened_by_itself_runs_nothing() -> None:
    file = static_files()[static_address("mark.svg").removeprefix("/static/")]
    assert file.headers["Content-Type"] == "image/svg+xml"
    assert file.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("name", NAMES)
def test_P11_no_static_file_names_another_server(name: str) -> None:
    body = static_files()[static_address(name).removeprefix("/static/")].body.decode()
    # The name of SVG's vocabulary is no address.
    assert not re.findall(r"(?:https?:)?//(?!www\.w3\.org/)[a-z0-9.-]+\.[a-z]{2,}", body)
    assert "@import" not in body
