"""What happened, for good: events, their hash chain, and what is read from them."""
