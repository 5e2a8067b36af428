"""Who judges a seed: each file watches one subject. `monitor.py` puts them together."""
