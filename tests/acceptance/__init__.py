"""The whole node, from the outside: what the project promises, tried as its users would."""
