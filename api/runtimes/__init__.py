"""What really runs: containers and processes behind one protocol."""
