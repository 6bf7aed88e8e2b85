"""The program `throughline`, as a task of Airflow starts it: python -m pipeline rejects replay --source my.toml"""

from pipeline.cli import main

if __name__ == "__main__":
    main()
