// The page that asks who somebody is, and the button that ends it.

import { get, NotSignedIn, post, remove } from "./api.js";
import { element, field, say } from "./element.js";

const BACK = "signed-in-to"; // where somebody was when the service asked
const who = document.getElementById("who"); // empty until it is known

export function askToSignIn() {
  if (location.hash.startsWith("#/sign-in")) return;
  sessionStorage.setItem(BACK, location.hash);
  location.hash = "#/sign-in";
}

// A link with a token in it signs in by itself, and leaves nothing of it in the browser's history.
export async function signInPage(page, _again, token) {
  const input = element("input", { name: "token", type: "password", autocomplete: "current-password", required: true });
  const complaint = element("p", { class: "error", role: "alert" });
  const form = element(
    "form",
    { class: "card signin", submit },
    element("h1", {}, "Sign in"),
    field("Token", input, "An admin makes one with: nas token create --owner NAME"),
    complaint,
    element("div", { class: "actions" }, element("button", { class: "primary" }, "Sign in")),
  );
  who.replaceChildren(); // whoever it was: the page that comes next asks again
  who.hidden = true;
  if (!token && (await isIn())) {
    goOn();
    return null;
  }
  page.replaceChildren(form);
  if (token) {
    history.replaceState(null, "", "#/sign-in");
    await signIn(token);
  } else input.focus();
  return null;

  async function submit(event) {
    event.preventDefault();
    await signIn(input.value);
  }

  async function signIn(text) {
    try {
      await post("session", { token: text.trim() });
    } catch (error) {
      say(complaint, error.message);
      return;
    }
    goOn();
  }
}

async function isIn() {
  try {
    await get("session");
    return true;
  } catch (error) {
    if (error instanceof NotSignedIn) return false;
    throw error;
  }
}

// To where somebody was; "Back" leads past the page that asked.
function goOn() {
  location.replace(sessionStorage.getItem(BACK) || "#/");
  sessionStorage.removeItem(BACK);
}

// Who is signed in, in the header; nothing where nobody has to be. Asked once, before there is a page.
export async function showWho(signal) {
  if (who.hasChildNodes()) return;
  try {
    const { owner, login } = await get("session", signal);
    who.hidden = !login;
    who.textContent = `Sign out ${owner}`;
  } catch (error) {
    if (error instanceof NotSignedIn) askToSignIn();
    throw error;
  }
}

// The line of a curl command that signs in, where somebody has to.
export function trusted(variable = "NAS_TOKEN") {
  return who.hidden ? "" : `  -H "Authorization: Bearer $${variable}" \\\n`;
}

export async function signOut() {
  try {
    await remove("session");
  } catch (error) {
    if (!(error instanceof NotSignedIn)) throw error; // else the session is over already
  }
  askToSignIn();
}
