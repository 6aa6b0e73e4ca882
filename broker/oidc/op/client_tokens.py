"""JWTs for a client: signed as it registered, then encrypted to its keys where it registered that (OIDC Core 10)."""

from __future__ import annotations

from collections.abc import Mapping

from broker.federation.model import OidcClient
from broker.oidc.jose import Signer
from broker.oidc.op.client_keys import ClientKeys


class ClientTokens:
    def __init__(self, signer: Signer, keys: ClientKeys) -> None:
        self._signer = signer
        self._keys = keys

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
