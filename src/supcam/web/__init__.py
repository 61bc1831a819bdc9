"""report -> people: the service, its store, and what a review page needs of them."""
