"""A run's records as training writes them."""

SETTINGS = {"steps": 6, "batch_size": 4, "seed": 0, "precision": "32", "ema": 0.9, "patience": None}
MANIFEST = {
    "format": "sattrans.run",
    "version": 1,
    "created": "2026-01-01T00:00:00+00:00",
    "model": "pix2pix",
    "options": {"source": "onehot", "width": 8},
    "settings": {**SETTINGS, "monitor": "l1", "schedule": "linear"},
    "spec": {"size": 64, "source_channels": 2, "classes": 2, "scenes": ["a"], "shares": [[0.5, 0.5]]},
    "palette": [{"value": 1, "name": "grass", "color": [1, 2, 3]}, {"value": 2, "name": "lake", "color": [3, 2, 1]}],
    "data": {"folder": "/t", "name": "t", "hash": "0" * 64},
    "init": None,
    "versions": {},
    "summary": {"steps": 6, "epochs": 1, "best": 0.5, "best_epoch": 1, "monitor": "l1", "stopped_early": False},
}

LINE = {"epoch": 1, "step": 3, "train": {"l1": 0.5}, "val": {"l1": 0.25}, "images_per_second": 2.0}
