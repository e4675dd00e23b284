"""Large cloud-optimised GeoTIFFs, written in parts so that a killed process loses few of them."""
