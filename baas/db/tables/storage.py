"""Tables of the storage room."""
