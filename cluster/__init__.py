"""Nodes wired together: topology, processes, clocks, faults, simulation, control channel, command line."""
