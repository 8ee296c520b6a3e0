"""HTTP routes, one resource each."""
