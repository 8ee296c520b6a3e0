"""Tables, reads, writes and transactions of the books, on SQLite and PostgreSQL."""
