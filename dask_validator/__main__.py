"""`python -m dask_validator` is `dask-validator`."""

from dask_validator.cli import main

if __name__ == "__main__":
    main()
