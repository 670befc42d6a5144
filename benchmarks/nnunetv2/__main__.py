"""python -m benchmarks.nnunetv2: the nnU-Net package as a method of the comparison, see command.py."""

import sys

from benchmarks.nnunetv2.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
