"use strict";
// The code is in the fragment of the address, which no browser sends. It is taken
// out of the address, and so of the history, before anything else is done. Whoever
// makes a link for somebody may choose the name and the password too, as
// #code=…&username=…&password=…: then there is nothing to fill in.
const at = (id) => document.getElementById(id);
const fragment = location.hash.slice(1);
const given = fragment.includes("=") ? new URLSearchParams(fragment) : new Map([["code", fragment]]);
const code = given.get("code");
const chosen = given.get("username") && given.get("password");
history.replaceState(null, "", location.pathname);
// A link that is pasted into the tab of this page changes the fragment alone.
addEventListener("hashchange", () => location.reload());
at(code ? "form" : "nocode").hidden = false;

const fail = (text) => {
  at("error").textContent = text;
  at("error").hidden = false;
};

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("error").hidden = true;
  if (at("password").value !== at("again").value) {
    fail("The two passwords are not the same.");
    at("again").focus();
    return;
  }
  at("send").disabled = true;
  try {
    const answer = await fetch("/api/v1/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ code, username: at("name").value, password: at("password").value, browser: true }),
    });
    const said = await answer.json();
    if (said.code === "login_code_invalid" || said.code === "login_code_expired") {
      // Nothing that could be typed here would make it good.
      at("form").reset();
      at("form").hidden = true;
      at("used").hidden = false;
      return;
    }
    if (!answer.ok) {
      fail([said.detail, said.fix].filter(Boolean).join(". "));
      return;
    }
    if (chosen) {
      location.replace("/");
      return;
    }
    at("form").reset();
    at("form").hidden = true;
    at("who").textContent = said.name;
    at("command").textContent = `hawser login ${location.host} --username ${said.name}`;
    at("done").hidden = false;
  } catch {
    fail("The hub does not answer. Nothing is lost: try again.");
  } finally {
    at("send").disabled = false;
  }
});

if (code && chosen) {
  at("name").value = given.get("username");
  at("password").value = at("again").value = given.get("password");
  at("form").requestSubmit();
}
