"""Migrations of identifiers: who is known by which older identity after a change of login product or a merger.

An operator's file says which old key is which new one (``key_file``); what that does to people and services is foreseen
(``plan``) by what the audit log knows (``seen``); what is in force is kept as numbered records (``ledger``) and handed to
logins as a value (``current``). How an identifier comes of it is ``attributes/identifiers.py``.
"""
