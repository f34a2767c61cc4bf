"""What two or more methods for recommenders use, and what is too long to stand in the file of one."""
