"""Every setting, typed. The only reader of the environment and of ``broker.toml``; the environment wins.

An unknown or wrong setting stops the start with its name and what it should be (promise P9).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "BROKER_"
CONFIG_FILE = "broker.toml"


class SettingsError(Exception):
    """One line for each wrong setting: its name, and what it should be."""


class Settings(BaseSettings):
    """The defaults are the safe choice, and right for the demo on one machine."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    base_url: str = Field(
        "http://127.0.0.1:8080",
        description="The address that browsers and services see, without a slash at the end. "
        "https, or http on a loopback address for development.",
    )
    listen: str = Field("127.0.0.1:8080", description="Address and port to listen on.")
    data_dir: Path = Field(Path("var"), description="Folder of the embedded database.")
    database_url: str = Field(
        "", description="Durable state. Default: an SQLite file in data_dir. Or postgresql+asyncpg://…"
    )
    state_url: str = Field(
        "",
        description="Short-lived state. Default: an SQLite file in data_dir. Or redis://, rediss://, "
        "redis+sentinel://; memory:// for one process in tests.",
    )
    certs_dir: Path = Field(Path("certs"), description="Folder of the broker's keys.")
    trusted_proxies: str = Field(
        "", description="Addresses or networks, comma-separated, whose X-Forwarded-For is believed."
    )
    client_certificate_header: str = Field(
        "",
        pattern="^[A-Za-z0-9-]*$",
        description="Header in which the trusted proxies pass on a client's TLS certificate: Client-Cert as RFC 9440 writes it, "
        "or any with PEM in percent-encoding (nginx: $ssl_client_escaped_cert). Default: none do.",
    )
    client_certificate_authorities: Path | None = Field(
        None, description="PEM file of the authorities whose certificates prove a client by tls_client_auth."
    )
    client_certificate_url: str = Field(
        "", description="The address at which the proxy asks for client certificates, if it is another than base_url."
    )
    allowed_networks: str = Field(
        "",
        description="Private networks, comma-separated, in which a city's login service may be asked; else only public "
        "addresses are.",
    )
    federation_name: str = Field(
        "Kuntasilta", min_length=1, description="The name shown on pages, and to partners in the SAML metadata."
    )
    operator: str = Field(
        "",
        description="Id of the organisation that runs the broker. Its name and contacts stand in the SAML metadata.",
    )
    information_url: str = Field(
        "", description="Page about the federation, told in the SAML metadata; {language} becomes fi, sv and en."
    )
    privacy_statement_url: str = Field(
        "", description="Page about personal data, told in the SAML metadata; {language} becomes fi, sv and en."
    )
    clock_skew_seconds: int = Field(60, ge=0, le=300, description="How far a partner's clock may be off.")
    upstream_timeout_seconds: float = Field(
        8,
        gt=0,
        le=9.5,
        description="The longest wait for a city's answer to a call of ours; the person is told within 10 s.",
    )
    drain_seconds: float = Field(10, ge=0, le=300, description="How long a stopping worker lets requests finish.")
    notice_seconds: float = Field(
        2, ge=0, le=60, description="How long a stopping worker says 'not ready' before it takes no more connections."
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")
    metrics_listen: str = Field("", description="Address and port of /metrics alone; by default it is on the main one.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what ``load`` hands in: so that unknown names in the environment are seen too."""
        return (init_settings,)

    @model_validator(mode="after")
    def _certificates_come_from_a_proxy(self) -> Settings:
        if self.client_certificate_header and not self.trusted_proxies:
            raise ValueError("BROKER_CLIENT_CERTIFICATE_HEADER needs BROKER_TRUSTED_PROXIES: who may send that header")
        if (self.client_certificate_authorities or self.client_certificate_url) and not self.client_certificate_header:
            raise ValueError("BROKER_CLIENT_CERTIFICATE_… need BROKER_CLIENT_CERTIFICATE_HEADER: how certificates come")
        return self

    @field_validator("base_url", "client_certificate_url")
    @classmethod
    def _base_url(cls, value: str, about: ValidationInfo) -> str:
        if not value and about.field_name != "base_url":
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.path or parts.query or parts.fragment:
            raise ValueError("must be https://host or https://host:port, without a path")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("must be https; http is for loopback addresses only")
        return value

    @field_validator("information_url", "privacy_statement_url")
    @classmethod
    def _page(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("https", "http") or not parts.hostname or " " in value):
            raise ValueError("must be the https address of a page")
        return value

    @field_validator("listen", "metrics_listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        if value:
            _, _, port = value.rpartition(":")
            if not port.isdigit() or not 0 <= int(port) < 65536:
                raise ValueError("must be address:port, for example 127.0.0.1:8080")
        return value

    @field_validator("trusted_proxies", "allowed_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        for each in _split(value):
            ip_network(each)
        return value

    @field_validator("state_url")
    @classmethod
    def _state_url(cls, value: str) -> str:
        schemes = ("", "sqlite", "redis", "rediss", "redis+sentinel", "memory")
        if value and urlsplit(value).scheme not in schemes:
            raise ValueError("must be sqlite:///FILE, redis://, rediss://, redis+sentinel:// or memory://")
        return value

    @property
    def secure(self) -> bool:
        """Whether browsers reach us by https. False is development on loopback."""
        return self.base_url.startswith("https://")

    @property
    def database(self) -> str:
        """SQLAlchemy's URL of the durable state."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir.absolute() / 'broker.sqlite'}"

    @property
    def state(self) -> str:
        return self.state_url or f"sqlite:///{self.data_dir.absolute() / 'broker.sqlite'}"

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(each) for each in _split(self.trusted_proxies))

    @property
    def allowed(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(each) for each in _split(self.allowed_networks))

    @property
    def clock_skew(self) -> timedelta:
        return timedelta(seconds=self.clock_skew_seconds)

    @property
    def listen_address(self) -> tuple[str, int]:
        return address_of(self.listen)


def load(environment: Mapping[str, str] | None = None, file: Path | None = None) -> Settings:
    """The settings of this process. ``file``: default ``broker.toml`` in the working folder, if it is there.

    Raises: SettingsError, with every complaint at once.
    """
    environment = os.environ if environment is None else environment
    path = file or Path(environment.get(f"{PREFIX}CONFIG", CONFIG_FILE))
    try:
        values = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    for name, value in environment.items():
        if name.startswith(PREFIX) and name != f"{PREFIX}CONFIG":
            values[name.removeprefix(PREFIX).lower()] = value
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError("\n".join(_complaint(each) for each in error.errors())) from error


def address_of(listen: str) -> tuple[str, int]:
    """``127.0.0.1:8080`` or ``[::]:8080``, checked already, as host and port."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    return host in ("127.0.0.1", "::1", "localhost") or host.endswith(".localhost")


def _complaint(error: object) -> str:
    details = TypeAdapter(dict[str, object]).validate_python(error)
    location = details.get("loc") or ()
    assert isinstance(location, tuple)
    name = PREFIX + str(location[0]).upper() if location else "settings"
    if details["type"] == "extra_forbidden":
        return f"{name}: no such setting; the settings are {', '.join(sorted(Settings.model_fields))}"
    return f"{name}: {str(details['msg']).removeprefix('Value error, ')}"


def _split(value: str) -> list[str]:
    return [each.strip() for each in value.split(",") if each.strip()]
