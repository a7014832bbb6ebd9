// An architecture as rows of [stage, kernel, channels, repeats, output]: of stages, of cells, or spelled
// out in parts. A row of one entry is a remark.

export function stageRows(architecture) {
  if (architecture.stages) return staged(architecture);
  if (architecture.normal) return celled(architecture);
  return architecture.parts.map((part) => [part.name, "", "", part.blocks.length, ""]);
}

export function imagesOf({ images, activation }) {
  const kind = images.channels === 1 ? "Grey" : "Colour";
  return [`${kind} images of ${images.resolution} pixels`, `${images.classes} classes`, activation]
    .filter(Boolean)
    .join(", ");
}

function staged({ images, stem, stem_stride, stages, head }) {
  let size = Math.ceil(images.resolution / stem_stride);
  const rows = [["Stem", "3 × 3", stem, 1, `${size} px`]];
  for (const stage of stages) {
    size = Math.ceil(size / stage.stride);
    rows.push([words(stage), `${stage.kernel} × ${stage.kernel}`, stage.channels, stage.repeats, `${size} px`]);
  }
  if (head) rows.push(["Head", "1 × 1", head, 1, `${size} px`]);
  return [...rows, ["Classifier", "", images.classes, 1, ""]];
}

const SKIPS = {
  false: "no skip",
  pooling: "pooling skip",
  repeats: "no first skip",
  "pooling repeats": "pooling skip but the first",
};

function words({ op, expand, se_ratio, skip }) {
  const name = { conv: "Convolution", fused: "Fused bottleneck", mbconv: "Bottleneck" }[op];
  return [op === "conv" ? name : `${name} ×${expand}`, se_ratio && "SE", SKIPS[skip]].filter(Boolean).join(", ");
}

// Normal cells in three groups with a reduction between; then what the nodes of each cell do with which states.
function celled({ images, stem_filters, normal, reduction, cells, filters }) {
  const group = (width) => ["Normal cell", "", width, cells, ""];
  const halving = (width) => ["Reduction", "", width, 1, ""];
  return [
    ["Stem", "", stem_filters, 1, ""],
    group(filters),
    halving(2 * filters),
    group(2 * filters),
    halving(4 * filters),
    group(4 * filters),
    ["Classifier", "", images.classes, 1, ""],
    ...nodes("Normal", normal),
    ...(reduction ? nodes("Reduction", reduction) : []),
  ];
}

function nodes(name, cell) {
  return cell.nodes.map((node, index) => {
    const inputs = node.inputs.map(([operation, state]) => `${operation} of ${state}`);
    return [`${name} node ${index + 1}: ${inputs.join(node.join === "add" ? " + " : ", ")}`];
  });
}
