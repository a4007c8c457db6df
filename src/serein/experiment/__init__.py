"""Third floor: the training story, from a recipe to a bundle with its scores."""
