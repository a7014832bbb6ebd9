// What runs now: a line per running trial, in places that are kept so that nothing below moves.

import { bar, element, say } from "./element.js";
import { percent, short } from "./numbers.js";

const MOST = 8; // lines; more trials than these are only counted

export function live(title, name) {
  const lines = element("ol", { class: "lines" });
  const more = element("p", { class: "muted", hidden: true });
  const node = element("section", { class: "card live", hidden: true }, element("h2", {}, title), lines, more);
  const slots = [];

  function slot() {
    const [who, phase, speed] = [
      element("span", { class: "who" }),
      element("span", { class: "phase muted" }),
      element("span", { class: "speed muted" }),
    ];
    const progress = bar("Epochs");
    const line = element("li", {}, who, phase, progress.node, speed);
    lines.append(line);
    return { line, who, phase, speed, progress };
  }

  // `places` is how many trials the run may have at once.
  return {
    node,
    show(running, places, ended) {
      node.hidden = ended && running.length === 0;
      while (slots.length < Math.min(places, MOST)) slots.push(slot());
      slots.forEach(({ line, who, phase, speed, progress }, index) => {
        const trial = running[index];
        line.classList.toggle("idle", !trial);
        say(who, trial ? name(trial) : "free");
        say(phase, trial ? phaseOf(trial.progress) : "");
        say(speed, trial ? speedOf(trial.progress) : "");
        progress.node.setAttribute("aria-label", trial ? `Epochs of ${name(trial)}` : "Epochs");
        progress.show(trial?.progress?.epochs ? trial.progress.epoch / trial.progress.epochs : 0);
      });
      more.hidden = running.length <= MOST;
      say(more, `and ${running.length - MOST} more`);
    },
  };
}

function phaseOf(progress) {
  if (!progress) return "waiting";
  return progress.epochs ? `${progress.phase}, epoch ${progress.epoch} of ${progress.epochs}` : progress.phase;
}

function speedOf(progress) {
  if (!progress) return "";
  const parts = [
    progress.images_per_second && `${short(progress.images_per_second)} images/s`,
    progress.loss !== null && progress.loss !== undefined && `loss ${progress.loss.toFixed(3)}`,
    progress.accuracy !== null && progress.accuracy !== undefined && percent(progress.accuracy, 1),
  ];
  return parts.filter(Boolean).join(" · ");
}
