"""A service behind mod_auth_mellon, configured as its README says."""

from __future__ import annotations

from pathlib import Path

# What the application sees: mellon's variables, as JSON.
_APPLICATION = """<?php
header('Content-Type: application/json');
echo json_encode(array_filter($_SERVER, fn($name) => str_starts_with($name, 'MELLON_'), ARRAY_FILTER_USE_KEY));
"""


def host(folder: Path, port: int, base: str) -> str:
    """The VirtualHost. ``/plain`` and ``/mfa`` are two services of one set of keys: the second asks for a strong login."""
    root = folder / "wiki"
    for name in ("plain", "mfa"):
        (root / name).mkdir(parents=True)
        (root / name / "index.php").write_text(_APPLICATION, "utf-8")
    contexts = 'MellonAuthnContextClassRef "https://refeds.org/profile/mfa"\n  MellonAuthnContextComparisonType "exact"'
    return (
        f"<VirtualHost 127.0.0.1:{port}>\nDocumentRoot {root}\n<Directory {root}>\n  Require all granted\n</Directory>\n"
        f"{_location(folder, base, 'plain', '')}{_location(folder, base, 'mfa', contexts)}</VirtualHost>\n"
    )


def _location(folder: Path, base: str, name: str, more: str) -> str:
    return f"""<Location /{name}>
  Require valid-user
  AuthType Mellon
  MellonEnable auth
  MellonEndpointPath /{name}/mellon
  MellonSPentityId {base}/{name}/mellon/metadata
  MellonSPPrivateKeyFile {folder}/wiki.key
  MellonSPCertFile {folder}/wiki.crt
  MellonIdPMetadataFile {folder}/broker-idp.xml
  MellonVariable mellon-{name}
  MellonSignatureMethod rsa-sha256
  MellonUser urn:oid:0.9.2342.19200300.100.1.3
  MellonMergeEnvVars On
  MellonSetEnv mail urn:oid:0.9.2342.19200300.100.1.3
  MellonSetEnv displayName urn:oid:2.16.840.1.113730.3.1.241
  MellonSetEnv affiliation urn:oid:1.3.6.1.4.1.5923.1.1.1.9
  MellonSetEnv pairwiseId urn:oasis:names:tc:SAML:attribute:pairwise-id
  {more}
</Location>
"""
