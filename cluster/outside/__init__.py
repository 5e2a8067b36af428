"""Servers outside the cluster that nodes speak to: the lab's own, in the lab's own process."""
