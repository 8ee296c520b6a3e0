"""The weekly labs: their form, their way to a scholar, and that they run."""
