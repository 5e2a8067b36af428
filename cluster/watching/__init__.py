"""`ucmlab watch`: which certificate is how far on which node, followed while it changes."""
