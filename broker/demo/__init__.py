"""Two demo cities and two demo services, each an independent implementation of its protocol, and the check of all flows."""
