"""``make bench``: logins through a real ``broker serve``, with a browser, a service and a city of our own on loopback.

Nothing of ``broker`` is imported here: the broker is what is measured. Every answer is checked; a wrong one fails the run.
"""
