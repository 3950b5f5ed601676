import sys

from reprise.interpreter import forget_working_folder, import_mistake

forget_working_folder()
try:
    from reprise.cli import main
except Exception as error:
    if line := import_mistake(error):
        sys.exit(f"reprise: {line}")
    raise
main()
