"""Tiling: from a folder of scenes to a tileset - looked at, planned, cut, and put in place."""
