"""What a session does with visitors: TAs who are attached, to observe or to edit together.

JupyterHub lets whoever has a share do everything that the scholar can. This part, which runs in
the session's own server, lets nobody in whom the lab's books do not name now, and holds observers
to reading. It protects the scholar from visitors; a scholar who switches it off has no visitors.
"""
