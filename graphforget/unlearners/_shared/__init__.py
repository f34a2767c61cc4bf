"""Mathematics and loops that two or more methods use; it sees what general methods see."""
