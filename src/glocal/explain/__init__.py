"""Pictures of why images match, and of what a search found."""
