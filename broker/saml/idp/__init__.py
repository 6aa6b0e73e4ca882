"""Toward services: the broker as an identity provider. Reads AuthnRequests, writes Responses."""
