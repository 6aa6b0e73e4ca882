"""Who takes part: organisations, identity providers, services, agreements; and the rules of access between them."""
