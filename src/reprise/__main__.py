import sys

# `python -m` puts the working folder before everything else, and a random.py or torch.py there would be taken
# for the real one. pip leaves it out likewise.
if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]

from reprise.interpreter import import_mistake

try:
    from reprise.cli import main
except Exception as error:
    if line := import_mistake(error):
        sys.exit(f"reprise: {line}")
    raise
main()
