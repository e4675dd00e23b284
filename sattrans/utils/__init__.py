"""What every package may use: files, locks, manifests, threads, progress."""
