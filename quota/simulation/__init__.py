"""A whole program in seconds: the real books under a simulated clock, scholars and faults.

`python -m quota.simulation` looks for faults of the books; `quota.simulation.plan` answers an
organizer's questions before the program.
"""
