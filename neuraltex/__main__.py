"""``python -m neuraltex``, which ``torchrun -m neuraltex optimize`` needs."""

from neuraltex.cli import main

if __name__ == "__main__":
    main()
