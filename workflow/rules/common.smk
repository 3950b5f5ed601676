from pathlib import Path

from reprise.errors import RepriseError
from reprise.reports.programme import (
    Programme,
    check_paths,
    check_remote_paths,
    complete,
    job_environment,
)

basedir = Path(workflow.basedir)
try:
    complete(config, basedir / "workflow" / "schemas" / "config.schema.yaml")
    check_paths(config, basedir)
    programme = Programme(config, basedir / "workflow" / "reports")
    job_environment(config, basedir / "src", programme.reports.values())
except RepriseError as error:
    raise WorkflowError(str(error)) from None

root = str(programme.layout.root)
data = str(programme.layout.data_dir)


wildcard_constraints:
    slug="|".join(programme.reports),
    item="|".join(programme.item_ids),
    dataset="[a-z0-9]+(-stand-in)?",
    arch="[a-z0-9_]+",
