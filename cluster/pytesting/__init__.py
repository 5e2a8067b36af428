"""Labs for pytest: fixtures that start one, and what a test does with it. Stands on the command line alone.

A test's process imports nothing of the lab: what this package needs is in the standard library.
"""

from ucmlab.cluster.pytesting.lab import CommandFailed, LabNode, RunningLab

__all__ = ["CommandFailed", "LabNode", "RunningLab"]
