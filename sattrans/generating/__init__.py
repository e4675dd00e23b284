"""What `generate` is made of: the plan of windows, the stream of them, folders of tiles, records of what was made."""
