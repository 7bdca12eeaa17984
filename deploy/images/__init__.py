"""What the images hold, and how large that is."""
