"""First floor, sound wing: a mono 16 kHz signal in, numbers out."""
