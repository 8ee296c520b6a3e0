"""What an operator should know about a machine and its lab: each fault with its remedy."""
