"""`python -m dask_validator` is `dask-validator`."""

import sys


def main() -> None:
    """Run a command; Ctrl-C while modules still load ends like a later one."""
    try:
        from dask_validator.cli.commands import main as run_command

        run_command()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
