"""A stretch of the past played through the live routes: sessions with a clock of their own, which read everything and change nothing."""
