"""Arrays of predictions to numbers and pictures of them."""
