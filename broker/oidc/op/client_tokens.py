"""JWTs for a client: signed as it registered, then encrypted to its keys where it registered that (OIDC Core 10); and
access tokens as JWTs (RFC 9068), which are only signed."""

from __future__ import annotations

from collections.abc import Mapping

from broker.federation.model import OidcClient
from broker.oidc import jose
from broker.oidc.jose import JoseError, Signer
from broker.oidc.op.client_keys import ClientKeys

_ACCESS_TOKEN = "at+jwt"


class ClientTokens:
    def __init__(self, signer: Signer, keys: ClientKeys) -> None:
        self._signer = signer
        self._own_keys = signer.key_set()
        self._keys = keys

    def access_token(self, claims: Mapping[str, object], client: OidcClient) -> str:
        """RFC 9068 2.1."""
        return self._signer.sign(claims, client.id_token_signed_response_alg, type=_ACCESS_TOKEN)

    def access_token_id(self, token: str) -> str | None:
        """``jti`` of a JWT access token that we signed; None: it is something else."""
        try:
            claims, _ = jose.verify(token, self._own_keys, types=(_ACCESS_TOKEN.upper(),))
        except JoseError:
            return None
        return str(claims["jti"])

    async def id_token(self, claims: Mapping[str, object], client: OidcClient) -> str:
        """Raises: ClientKeysUnavailable."""
        token = self._signer.sign(claims, client.id_token_signed_response_alg)
        algorithm, content = client.id_token_encrypted_response_alg, client.id_token_encrypted_response_enc
        return token if algorithm is None else await self._keys.encrypt(token, client, algorithm, content)

    async def userinfo(self, claims: Mapping[str, object], client: OidcClient) -> str | None:
        """OIDC Core 5.3.2; None: the client registered plain JSON. Raises: ClientKeysUnavailable."""
        if client.userinfo_signed_response_alg is None:
            return None
        token = self._signer.sign(claims, client.userinfo_signed_response_alg)
        algorithm, content = client.userinfo_encrypted_response_alg, client.userinfo_encrypted_response_enc
        return token if algorithm is None else await self._keys.encrypt(token, client, algorithm, content)
