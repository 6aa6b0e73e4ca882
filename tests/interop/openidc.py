"""A service behind mod_auth_openidc, configured as its own comments say."""

from __future__ import annotations

from pathlib import Path

# What the application sees: the module's variables, as JSON.
_APPLICATION = """<?php
header('Content-Type: application/json');
echo json_encode(array_filter($_SERVER, fn($name) => str_starts_with($name, 'OIDC_'), ARRAY_FILTER_USE_KEY));
"""


def host(folder: Path, port: int, broker: str, client_id: str, secret: str) -> str:
    """The VirtualHost of one client. ``secret``: empty for one that proves itself by its key (private_key_jwt)."""
    root = folder / client_id
    (root / "app").mkdir(parents=True)
    (root / "app" / "index.php").write_text(_APPLICATION, "utf-8")
    authentication = (
        f"OIDCClientSecret {secret}\nOIDCProviderTokenEndpointAuth client_secret_basic"
        if secret
        else f"OIDCPrivateKeyFiles {folder}/rooms.key\nOIDCPublicKeyFiles {folder}/rooms.crt\n"
        "OIDCProviderTokenEndpointAuth private_key_jwt"
    )
    return f"""<VirtualHost 127.0.0.1:{port}>
DocumentRoot {root}
<Directory {root}>
  Require all granted
</Directory>
OIDCProviderMetadataURL {broker}/.well-known/openid-configuration
OIDCClientID {client_id}
{authentication}
OIDCRedirectURI http://127.0.0.1:{port}/app/callback
OIDCCryptoPassphrase only-of-this-test
OIDCCookie {client_id}
OIDCScope "openid profile email affiliation"
OIDCPKCEMethod S256
OIDCResponseMode {"query" if secret else "form_post"}
OIDCPassRefreshToken On
# Longer than an access token lives: refreshed at every request.
OIDCRefreshAccessTokenBeforeExpiry 601
OIDCUserInfoRefreshInterval 0
<Location /app>
  AuthType openid-connect
  Require valid-user
</Location>
</VirtualHost>
"""
