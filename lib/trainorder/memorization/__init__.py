"""Maps of what a unit's position in training does to its own loss and to that of other text."""
