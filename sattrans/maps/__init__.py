"""Maps as a run reads them: raster or vector, cropped, resampled, with classes mapped."""
