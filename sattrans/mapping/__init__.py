"""Maps as a run reads them: rasters and vectors, cut, resampled and their classes told, window by window."""
