"""The broker as the cities' relying party: asks them to log a person in, and judges their answers."""
