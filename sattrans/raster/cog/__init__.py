"""Large cloud-optimised GeoTIFFs, written in chunks so that an interrupted process can be resumed."""
