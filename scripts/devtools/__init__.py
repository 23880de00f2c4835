"""Python code of the programs in scripts/dev. Each program there is a few lines of shell that call a module here."""
