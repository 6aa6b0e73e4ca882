"""Toward cities: the broker as a service provider. Asks by AuthnRequest, judges the Response."""
