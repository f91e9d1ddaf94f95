"""Run the command as `python -m pre2post`, with the package that this Python finds first."""

from pre2post.cli.main import main

if __name__ == "__main__":
    main()
