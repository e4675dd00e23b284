"""The only rooms that open rasters: the gate, aligned reading, atomic writing."""
