"""The nouns of the house: frozen, without I/O. Every stage may import this package and nothing imports upward."""
