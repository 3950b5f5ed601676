from pathlib import Path

from reprise.errors import RepriseError
from reprise.spec.programme import Programme, use_this_python

basedir = Path(workflow.basedir)
use_this_python(basedir / "src")
try:
    programme = Programme(config, basedir / "workflow" / "reports")
except RepriseError as error:
    raise WorkflowError(str(error)) from None

root = str(programme.layout.root)
data = str(programme.layout.data_dir)


wildcard_constraints:
    slug="|".join(programme.reports),
    item="[A-Za-z0-9_.+-]+",
    dataset="[a-z0-9]+",
    arch="[a-z0-9_]+",
