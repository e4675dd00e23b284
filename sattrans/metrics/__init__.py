"""Metrics of generated images, a family a file: pure functions of uint8 images (3, H, W), or of sums over a set."""
