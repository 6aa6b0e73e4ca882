"""Kuntasilta: a federated identity broker between municipalities' logins and the services that they share."""

__version__ = "0.1.0"
