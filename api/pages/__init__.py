"""The service's pages for scholars, TAs and organizers; see docs/decisions/0016-pages.md."""
