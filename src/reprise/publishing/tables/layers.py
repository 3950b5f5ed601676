"""Networks, layer by layer, with the sum of their parameters."""

from reprise.errors import RepriseError, nearest
from reprise.publishing.sources import Sources
from reprise.publishing.tables.sheet import Rows, Sheet
from reprise.reports.tables import LayerTable


def build(spec: LayerTable, sources: Sources) -> Sheet:
    """Each network of `networks` is a part of its own."""
    rows, shown = [], {}
    for name in spec.networks:
        if name not in sources.layers:
            raise RepriseError(
                f"no layer table of network {name!r}{nearest(name, sources.layers) or '; make it first'}"
            )
        network = sources.layers[name]
        title = network.get("title") or name
        lines = []
        for position, row in enumerate(network["rows"], 1):
            shape = " × ".join(str(size) for size in row["output_shape"])
            activation = row["activation"] or ""
            rows.append((title, position, row["layer"], row["kind"], activation, shape, row["parameters"]))
            lines.append((str(position), row["layer"], activation, shape, f"{row['parameters']:,}"))
        lines.append(("", "total", "", "", f"{network['parameters']:,}"))
        shown[title] = Rows(["", "Layer", "Activation", "Output shape", "Parameters"], lines)
    columns = ["architecture", "position", "layer", "kind", "activation", "output_shape", "parameters"]
    return Sheet(Rows(columns, rows), shown, ["Output shapes are channels × height × width."])
