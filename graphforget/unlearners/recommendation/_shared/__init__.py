"""What two or more methods for recommenders use."""
