"""Methods that need nothing but a task: they run on graphs, recommenders, images and tables alike."""
