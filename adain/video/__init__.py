"""What holds the frames of a clip together: shared moments, a canvas that stands still in the scene, what stays where nothing changed."""
