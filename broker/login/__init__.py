"""The heart: one login as a value that moves through named stages.

Owns what a login is, which moves are legal, and the decisions between a service's request and the broker's answer.
Knows no HTTP, no SAML, no OIDC, no SQL, and has no clock of its own: time is an argument.
"""
