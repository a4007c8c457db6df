"""Third floor: a trained model put to the test. Needs the extra [sound]; nothing that trains."""
