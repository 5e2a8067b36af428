"""Failure search: random workloads and faults in virtual time, judged by invariants after every event."""
