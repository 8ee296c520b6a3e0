"""Stands between the lab's programs and the Docker engine: lets through what the lab needs."""
