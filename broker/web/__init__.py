"""What browsers meet: the journey of a login, its pages, and the middleware around every request."""
