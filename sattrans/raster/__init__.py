"""Opening, reading and writing rasters: the only package that uses rasterio."""
