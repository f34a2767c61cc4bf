"""Methods that must see who took what: users, items, and their rows in a recommender."""
