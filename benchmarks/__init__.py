"""Benchmarks of the lab; each prints its figure and the ratio to a limit or a peer."""
