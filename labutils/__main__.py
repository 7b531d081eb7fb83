import sys

from labutils.headless.command_line import main

if __name__ == "__main__":
    sys.exit(main())
