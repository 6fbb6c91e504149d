"""What the container image is made of and by: locks, bases, the build and its bill of materials."""
