"""Metrics of generated images: pure functions of uint8 images (3, H, W), or of sums over a set of them."""
