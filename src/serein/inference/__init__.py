"""Second floor: the trained thing; a recording in, its emotion out."""
