"""Durable state: SQLAlchemy tables and their migrations."""
