"""Methods that must see a graph."""
