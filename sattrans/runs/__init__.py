"""What training leaves: a run, its options, its device, and a run as a translator."""
