"""Runs: the folder that training writes, options of models, devices, and the translator of a trained run."""
