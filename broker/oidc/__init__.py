"""OpenID Connect: an edge on both sides of the heart. Owns everything in JOSE and OAuth; knows nothing of SAML or SQL."""
