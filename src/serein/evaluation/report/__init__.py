"""A result, or several, as one HTML page with its figures and tables. Needs the extra [sound]."""
