// What a network's answers are worth class by class: an accuracy may be the share of the largest class and nothing more.

import { element } from "./element.js";
import { accuracy, decimal, percent } from "./numbers.js";

// Figures beside the accuracy, each with its name and what it means.
export function qualityRows(quality) {
  if (!quality) return [];
  const { balanced_accuracy, balanced_accuracy_error, macro_f1, macro_f1_error } = quality;
  const { worst_class, worst_recall, worst_recall_error, log_loss, log_loss_error, calibration_error } = quality;
  const recalls = "the mean of the classes' recalls";
  const mean = quality.guessing ? `${recalls}: ${percent(quality.guessing)} by guessing` : recalls;
  return [
    ["Largest class alone", percent(quality.majority), "the accuracy of always answering the largest class"],
    ["Balanced accuracy", accuracy(balanced_accuracy, balanced_accuracy_error), mean],
    ["Macro-F1", accuracy(macro_f1, macro_f1_error), "the mean of the classes' F1"],
    ["Worst class", `${worst_class}, ${accuracy(worst_recall, worst_recall_error)}`, "the smallest recall of a class"],
    ...(log_loss === null
      ? []
      : [
          ["Log loss", nats(log_loss, log_loss_error), "the mean of −log of the right class's probability"],
          ["Calibration error", percent(calibration_error), "how far probabilities are off, over 15 bins of them"],
        ]),
  ];
}

function nats(value, error) {
  return error === null ? decimal(value, 3) : `${decimal(value, 3)} ± ${decimal(error, 3)}`;
}

// A table that opens: the recall of each class, and what its images were taken for.
export function confusion() {
  const head = element("tr");
  const body = element("tbody");
  const caption = element("caption", {}, "Images of each class, by row, and what they were taken for, by column");
  const table = element("table", { class: "stages" }, caption, element("thead", {}, head), body);
  const node = element(
    "details",
    { class: "classes", hidden: true },
    element("summary", {}, "Class by class"),
    element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Class by class" }, table),
  );

  return {
    node,
    show(quality) {
      const rows = quality?.confusion ?? [];
      node.hidden = rows.length === 0;
      if (node.hidden) return;
      const names = quality.classes;
      head.replaceChildren(
        element("th", { scope: "col" }, "Class"),
        element("th", { scope: "col", class: "number" }, "Recall"),
        ...names.map((name) => element("th", { scope: "col", class: "number" }, name)),
      );
      body.replaceChildren(
        ...rows.map((row, index) =>
          element(
            "tr",
            {},
            element("th", { scope: "row" }, names[index]),
            element("td", { class: "number" }, percent(quality.recalls[index], 1)),
            ...row.map((images, answer) =>
              element("td", { class: answer === index ? "number right" : "number" }, String(images)),
            ),
          ),
        ),
      );
    },
  };
}
