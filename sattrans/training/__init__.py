"""Training: the loop, what it judges a generator by, its checkpoints, and what a user sees of it."""
