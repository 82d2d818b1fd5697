"""A gallery over HTTP: an API, and a page for people. Needs the extra ``serve``."""
