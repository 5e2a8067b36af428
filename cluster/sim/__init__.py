"""The simulated shell: virtual clock, event heap, network, disks and key rings around the same cores as the real one."""
