"""The operations of the API, one subject per file."""
