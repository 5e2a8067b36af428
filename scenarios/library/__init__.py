"""The library: one story a file; the file, the story and its function share one name."""
