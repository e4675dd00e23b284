"""What `mosaic` is made of: tiles found and looked at, laid out on one grid, and joined piece by piece."""
