"""The fault catalogue performed in the simulation: one module for each kind of thing that breaks."""
