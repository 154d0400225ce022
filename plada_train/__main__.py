"""`python -m plada_train`, the command `plada-train`. torchrun starts it by this name."""

from plada_train.cli.main import main

if __name__ == "__main__":
    main(prog_name="plada-train")
