// The page that asks who somebody is, and the button that ends it.

import { get, NotSignedIn, post, remove } from "./api.js";
import { element, field, say } from "./element.js";

const BACK = "signed-in-to"; // where somebody was when the service asked

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
    await showWho();
    location.hash = sessionStorage.getItem(BACK) || "#/";
    sessionStorage.removeItem(BACK);
  }
}

// Who is signed in, in the header; nothing where nobody has to be.
export async function showWho() {
  const who = document.getElementById("who");
  try {
    const { owner, login } = await get("session");
    who.hidden = !login;
    who.textContent = `Sign out ${owner}`;
  } catch (error) {
    if (!(error instanceof NotSignedIn)) return; // away: whoever asks next says so
    who.hidden = true;
    askToSignIn();
  }
}

// The line of a curl command that signs in, where somebody has to.
export function trusted(variable = "NAS_TOKEN") {
  return document.getElementById("who").hidden ? "" : `  -H "Authorization: Bearer $${variable}" \\\n`;
}

export async function signOut() {
  await remove("session");
  document.getElementById("who").hidden = true;
  askToSignIn();
}
