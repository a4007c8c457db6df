"""First floor, learning wing: numbers in, emotion out; knows nothing of sound."""
