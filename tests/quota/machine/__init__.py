"""P03: the books against a small model, under whatever a lab can do to them."""
