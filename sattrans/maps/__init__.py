"""Maps as a run reads them: raster or vector, cropped, resampled, and with their classes mapped."""
