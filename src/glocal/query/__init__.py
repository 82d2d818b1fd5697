"""Other ways to ask a gallery than with an image: what turns them into vectors of its space."""
