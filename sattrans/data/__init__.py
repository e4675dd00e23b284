"""Datasets as plugins name them, tilesets as `tile` leaves them, batches as training reads them."""
