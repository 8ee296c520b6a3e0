"""The service's pages for scholars, TAs and organizers; see docs/decisions/0018-pages.md."""
