"""The platform's command line over SSH (wire-interfaces 3)."""
