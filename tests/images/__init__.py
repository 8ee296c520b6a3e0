"""Images as they are built, run on a real engine."""
