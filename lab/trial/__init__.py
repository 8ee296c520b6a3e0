"""A throw-away lab and people who use it: for the demo, the benchmarks and the tests."""
