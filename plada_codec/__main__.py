"""`python -m plada_codec`, the command `plada`."""

from plada_codec.cli.main import main

if __name__ == "__main__":
    main(prog_name="plada")
