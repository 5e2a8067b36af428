"""The command line: one module for each family of commands, loaded when one of them is called."""
