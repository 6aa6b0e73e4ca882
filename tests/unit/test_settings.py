"""BROKER_… and broker.toml: FEDERATION.md, "Settings", and promise P9."""

from pathlib import Path

import pytest

from broker.settings import SettingsError, load


def test_the_defaults_are_right_for_one_machine(tmp_path: Path) -> None:
    settings = load({}, tmp_path / "none.toml")
    assert settings.base_url == "http://127.0.0.1:8080"
    assert settings.listen_address == ("127.0.0.1", 8080)
    assert settings.database.startswith("sqlite+aiosqlite:////")
    assert settings.state.startswith("sqlite:////")
    assert not settings.secure


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "broker.toml"
    file.write_text('base_url = "https://file.example"\nfederation_name = "From the file"\n')
    settings = load({"BROKER_BASE_URL": "https://environment.example"}, file)
    assert (settings.base_url, settings.federation_name) == ("https://environment.example", "From the file")


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("BROKER_BASE_URL", "http://broker.example", "BROKER_BASE_URL: must be https"),
        ("BROKER_BASE_URL", "https://broker.example/path", "BROKER_BASE_URL: must be https://host"),
        ("BROKER_LISTEN", "everywhere", "BROKER_LISTEN: must be address:port"),
        ("BROKER_TRUSTED_PROXIES", "proxy.example", "BROKER_TRUSTED_PROXIES: "),
        ("BROKER_STATE_URL", "mysql://x", "must be sqlite:///FILE, redis://"),
        ("BROKER_CLOCK_SKEW_SECONDS", "4000", "BROKER_CLOCK_SKEW_SECONDS: "),
        ("BROKER_LOG_LEVEL", "loud", "BROKER_LOG_LEVEL: "),
    ],
)
def test_p9_a_wrong_setting_stops_the_start_with_its_name(
    tmp_path: Path, name: str, value: str, complaint: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        load({name: value}, tmp_path / "none.toml")
    assert complaint in str(raised.value)


def test_p9_an_unknown_setting_stops_the_start_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"BROKER_BASEURL: no such setting; the settings are allowed_networks, base_url, "
    ):
        load({"BROKER_BASEURL": "https://broker.example"}, tmp_path / "none.toml")


def test_p9_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "broker.toml"
    file.write_text("base_url = ")
    with pytest.raises(SettingsError, match=r"broker\.toml: "):
        load({}, file)


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"BROKER_CLIENT_CERTIFICATE_HEADER": "Client-Cert"}, "needs BROKER_TRUSTED_PROXIES"),
        ({"BROKER_CLIENT_CERTIFICATE_URL": "https://mtls.example"}, "need BROKER_CLIENT_CERTIFICATE_HEADER"),
        ({"BROKER_CLIENT_CERTIFICATE_AUTHORITIES": "ca.pem"}, "need BROKER_CLIENT_CERTIFICATE_HEADER"),
        ({"BROKER_CLIENT_CERTIFICATE_HEADER": "Client Cert"}, "BROKER_CLIENT_CERTIFICATE_HEADER: "),
        ({"BROKER_CLIENT_CERTIFICATE_URL": "mtls.example"}, "BROKER_CLIENT_CERTIFICATE_URL: must be https://host"),
    ],
)
def test_a_clients_certificate_comes_by_a_header_of_a_trusted_proxy(
    tmp_path: Path, environment: dict[str, str], complaint: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environment, tmp_path / "none.toml")
    assert complaint in str(caught.value)
