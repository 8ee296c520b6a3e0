"""The FastAPI service, its worker and the command line."""
