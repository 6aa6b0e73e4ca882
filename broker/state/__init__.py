"""Short-lived state: one small record store with three backends, and the heart's ports built on it."""
