"""What GPUs there are, what runs on them, and what that means for the sessions that hold them.

`devices` has the types, `nvml` and `declared` are where they come from, `choose` picks one of the
two; `processes` tells which process belongs to which session, `states` what a session does.
"""
