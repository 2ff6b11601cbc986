"""Testing security rules in Python."""
