"""Who may do what, and the account of it: one access function stands in every doorway."""
