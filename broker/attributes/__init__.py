"""What people are called: from a city's dialect to the shared schema, held to scopes, released to one service."""
