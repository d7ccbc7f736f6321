"""Answers as files that other programs read: JSON, CSV, Arrow, GeoParquet, GeoPackage, FlatGeobuf."""
