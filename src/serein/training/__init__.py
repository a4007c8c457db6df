"""Ground floor, learning wing: how learning is done; arrays only."""
