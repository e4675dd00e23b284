"""Metrics of image pairs, a family a file. All take uint8 images (3, H, W) as torch tensors, generated and real."""
