"""What runs inside JupyterHub: admission at spawn, safe spawners, the pages of the hub."""
