"""What only the first node does: the cluster's one log, and the keys that it shares."""
