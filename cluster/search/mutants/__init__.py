"""Cores and surroundings with one safety mechanism taken out; `cluster/search/plants.py` names them.

Each is a subclass that answers one question wrongly, or leaves one step out. Nothing in the product knows of them.
"""
