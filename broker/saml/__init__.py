"""SAML 2.0: an edge on both sides of the heart. Owns everything in XML; knows nothing of HTTP servers, SQL or OIDC."""
