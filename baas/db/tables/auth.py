"""Tables of the auth room."""
