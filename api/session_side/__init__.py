"""The session listener: what a running notebook may ask of the service, on a port of its own."""
