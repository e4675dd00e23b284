"""Evaluating: what `evaluate` is made of - families of scores, what is gathered for them, and the files it writes."""
