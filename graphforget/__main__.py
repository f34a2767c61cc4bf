"""``python -m graphforget``: the command line, with the working directory on the import path."""

from graphforget.cli import main

if __name__ == "__main__":
    main()
