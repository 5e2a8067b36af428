"""The fault catalogue performed on real processes."""
