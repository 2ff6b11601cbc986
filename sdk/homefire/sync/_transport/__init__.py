"""How requests leave this process."""
