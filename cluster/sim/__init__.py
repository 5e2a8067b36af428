"""The simulated shell: virtual clock, event heap, network, disks and key rings, around the real cores."""
