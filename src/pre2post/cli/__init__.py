"""The command `pre2post`: one file per subcommand. They parse options, call the package and print."""
