"""Layers, place names and tiles: what the map shows besides events, and how a place is called."""
