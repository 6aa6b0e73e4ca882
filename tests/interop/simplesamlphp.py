"""A city that runs SimpleSAMLphp as its identity provider. ``options.json`` is read at each request, so that a test can change
how it answers without a restart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.interop.apache import SIMPLESAMLPHP

AINO = "aino"
PASSWORD = "joulu"
MFA = "https://refeds.org/profile/mfa"
PERSON = {
    "uid": ["aino"],
    "urn:oid:0.9.2342.19200300.100.1.3": ["aino@pori.fi"],
    "urn:oid:2.16.840.1.113730.3.1.241": ["Aino Ä. & Co <Virtanen>"],
    "urn:oid:1.3.6.1.4.1.5923.1.1.1.9": ["employee@pori.fi", "member@pori.fi", "employee@ulvila.fi"],
    "urn:oid:2.16.840.1.113730.3.1.3": ["4711"],
}


def set_options(folder: Path, **options: object) -> None:
    """``hosted``: settings of saml20-idp-hosted. ``remote``: of saml20-sp-remote."""
    (folder / "ssp" / "options.json").write_text(json.dumps({"hosted": {}, "remote": {}} | options), "utf-8")


def host(folder: Path, port: int, base: str) -> str:
    """The VirtualHost, its configuration written."""
    _write(folder, base)
    www = SIMPLESAMLPHP / "www"
    return f"""<VirtualHost 127.0.0.1:{port}>
DocumentRoot {www}
Alias /simplesaml {www}
SetEnv SIMPLESAMLPHP_CONFIG_DIR {folder}/ssp/config
<Directory {www}>
  Require all granted
</Directory>
</VirtualHost>
"""


def _write(folder: Path, base: str) -> None:
    ssp = folder / "ssp"
    for name in ("config", "metadata", "cert", "data"):
        (ssp / name).mkdir(parents=True)
    # Written by the web server's user.
    (ssp / "data").chmod(0o777)
    (ssp / "config" / "config.php").write_text(_php("config", _config(ssp, base)), "utf-8")
    users = {"users": {0: "exampleauth:UserPass", f"{AINO}:{PASSWORD}": PERSON}}
    (ssp / "config" / "authsources.php").write_text(_php("config", users), "utf-8")
    options = f"json_decode(file_get_contents('{ssp}/options.json'), true)"
    entity_id = f"{base}/simplesaml/saml2/idp/metadata.php"
    hosted = {
        "host": "__DEFAULT__",
        "privatekey": "idp.key",
        "certificate": "idp.crt",
        "auth": "users",
        "attributes.NameFormat": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri",
        "userid.attribute": "uid",
        "authproc": {"3": {"class": "saml:PersistentNameID", "attribute": "uid"}},
    }
    (ssp / "metadata" / "saml20-idp-hosted.php").write_text(
        _php("metadata", {entity_id: hosted})
        + f"$metadata['{entity_id}'] = {options}['hosted'] + $metadata['{entity_id}'];\n",
        "utf-8",
    )
    # The broker's own metadata, read as XML; the options go on top of it.
    (ssp / "metadata" / "saml20-sp-remote.php").write_text(
        "<?php\n$entity = SimpleSAML\\Metadata\\SAMLParser::parseFile('" + f"{folder}/broker-sp.xml" + "');\n"
        f"$metadata[$entity->getEntityId()] = {options}['remote'] + $entity->getMetadata20SP();\n",
        "utf-8",
    )
    set_options(folder)


def _config(ssp: Path, base: str) -> Mapping[object, object]:
    return {
        "baseurlpath": f"{base}/simplesaml/",
        "certdir": f"{ssp}/cert/",
        "metadatadir": f"{ssp}/metadata/",
        "tempdir": f"{ssp}/data",
        "datadir": f"{ssp}/data/",
        "loggingdir": f"{ssp}/data/",
        "logging.handler": "file",
        "logging.level": 7,
        "secretsalt": "only-of-this-test",
        "auth.adminpassword": "only-of-this-test",
        "technicalcontact_email": "na@example.org",
        "timezone": "UTC",
        "enable.saml20-idp": True,
        "module.enable": {"exampleauth": True, "core": True, "saml": True},
        "session.cookie.secure": False,
        "session.phpsession.savepath": f"{ssp}/data",
        "store.type": "sql",
        "store.sql.dsn": f"sqlite:{ssp}/data/store.sqlite",
        "metadata.sources": [{"type": "flatfile"}],
        "language.default": "en",
        "showerrors": True,
        "production": False,
    }


def _php(name: str, values: Mapping[object, object]) -> str:
    return f"<?php\n${name} = json_decode(<<<'JSON'\n{json.dumps(values)}\nJSON\n, true);\n"
