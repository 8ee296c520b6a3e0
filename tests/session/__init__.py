"""What a session has for scholars' own programs, without JupyterLab and without an engine."""
