"""Views of the journal over HTTP and the live stream; the console draws them and changes nothing but through it."""
