"""One HTML page about an evaluation."""
