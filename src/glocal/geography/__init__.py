"""Places on Earth: distances, clusters of positions, names of towns, the grid of Major TOM."""
