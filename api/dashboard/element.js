// Elements made in one call. Strings become text nodes, never markup, so that a run's name can be anything.

export function element(tag, attributes = {}, ...children) {
  return dressed(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return dressed(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

// A function is a listener ("click"), null and false leave an attribute out.
function dressed(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Touches the page only where the text changed: a poll must not disturb a selection or a screen reader.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function bar(label) {
  const fill = element("i");
  const node = element(
    "div",
    { class: "bar", role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 },
    fill,
  );
  return {
    node,
    show(fraction) {
      const percent = Math.round(100 * Math.min(1, Math.max(0, fraction || 0)));
      fill.style.width = `${percent}%`;
      node.setAttribute("aria-valuenow", percent);
    },
  };
}

// A state as a coloured dot and a word: the colour never says it alone.
export function pill(state) {
  return element("span", { class: `pill ${state}` }, state);
}

export function field(label, control, hint) {
  const id = control.id || `field-${control.name}`;
  control.id = id;
  control.setAttribute("aria-describedby", `${id}-hint`);
  return element(
    "div",
    { class: "field" },
    element("label", { for: id }, label),
    control,
    element("p", { class: "hint", id: `${id}-hint` }, hint || ""),
  );
}

export function select(name, options, chosen) {
  const list = options.map((option) => {
    const [value, text] = Array.isArray(option) ? option : [option, option];
    return element("option", { value, selected: value === chosen }, text);
  });
  return element("select", { name, id: `field-${name}` }, ...list);
}
