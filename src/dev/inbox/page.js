// The dev inbox. Text from mails only ever becomes text here; their HTML stays in its sandboxed frame.
"use strict";

const at = (id) => document.getElementById(id);
let chosen = null; // the id of the mail on show
let tab = "html";
let newest = null;
let shown = 0; // counts openings, so that a slow answer does not replace a newer one

const make = (name, properties) => Object.assign(document.createElement(name), properties);

const get = async (path) => {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
};

const name = ({ Name, Address }) => (Name ? `${Name} <${Address}>` : Address);
const recipients = (mail) => [...mail.To, ...mail.Cc, ...mail.Bcc].map(name).join(", ");

const time = (iso) => {
  const then = new Date(iso);
  const today = then.toDateString() === new Date().toDateString();
  return today ? then.toLocaleTimeString() : then.toLocaleString();
};

const copy = (label, text, className = "") => {
  const button = make("button", { type: "button", textContent: label, className, title: "Copy to the clipboard" });
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 1200);
  });
  return button;
};

const actions = (mail, all) => {
  const parts = [];
  if (mail.Link) {
    parts.push(make("a", { className: "open", href: mail.Link, target: "_blank", rel: "noopener noreferrer", textContent: "Open link", title: mail.Link }));
    if (all) parts.push(copy("Copy link", mail.Link));
  }
  if (mail.Code) parts.push(copy(`Copy code ${mail.Code}`, mail.Code, "code"));
  return parts;
};

const row = (mail) => {
  const item = at("row").content.firstElementChild.cloneNode(true);
  const part = (selector) => item.querySelector(selector);
  item.dataset.id = mail.ID;
  item.classList.toggle("unread", !mail.Read);
  item.classList.toggle("chosen", mail.ID === chosen);
  part(".who").textContent = recipients(mail);
  part("time").textContent = time(mail.Created);
  part(".what").textContent = mail.Subject || "(no subject)";
  part(".snippet").textContent = mail.Snippet;
  part(".actions").append(...actions(mail, false));
  part(".row").addEventListener("click", () => open(mail.ID));
  return item;
};

async function refresh() {
  const query = at("query").value.trim();
  const path = query ? `api/v1/search?limit=500&query=${encodeURIComponent(query)}` : "api/v1/messages?limit=500";
  const list = await (await get(path)).json();
  if (query !== at("query").value.trim()) return;
  const focused = document.activeElement?.closest?.("li")?.dataset.id;
  at("list").replaceChildren(...list.messages.map(row));
  if (focused) at("list").querySelector(`[data-id="${focused}"] .row`)?.focus();
  at("state").textContent = query ? `${list.messages_count} of ${list.total} mails` : `${list.total} mails, ${list.unread} unread`;
  document.title = `${list.unread ? `(${list.unread}) ` : ""}Inbox · Truegate dev`;
  at("clear").disabled = list.total === 0;
  at("empty").hidden = at("mail").hidden === false || list.total > 0;
  // The first mail and each new one open themselves while nobody reads another.
  const top = list.messages[0]?.ID ?? null;
  if (!query && top !== newest) {
    if (top && (chosen === null || chosen === newest)) open(top);
    newest = top;
  }
  if (list.total === 0) close();
}

async function open(id) {
  const mine = ++shown;
  let mail;
  try {
    mail = await (await get(`api/v1/message/${id}`)).json();
  } catch {
    return refresh(); // deleted in the meantime
  }
  if (mine !== shown) return;
  chosen = id;
  at("subject").textContent = mail.Subject || "(no subject)";
  const facts = { From: name(mail.From), To: recipients(mail), Date: new Date(mail.Date).toLocaleString() };
  at("facts").replaceChildren(
    ...Object.entries(facts).flatMap(([term, text]) => [make("dt", { textContent: term }), make("dd", { textContent: text })]),
  );
  at("actions").replaceChildren(...actions(mail, true));
  at("mail").hidden = false;
  at("empty").hidden = true;
  for (const item of at("list").children) {
    item.classList.toggle("chosen", item.dataset.id === id);
    if (item.dataset.id === id) item.classList.remove("unread");
  }
  const has = { html: mail.HTML !== "", text: true, source: true };
  show(has[tab] ? tab : "text", mail);
  for (const button of at("tabs").children) {
    button.disabled = !has[button.dataset.tab];
    button.onclick = () => show((tab = button.dataset.tab), mail);
  }
}

async function show(which, mail) {
  for (const button of at("tabs").children) button.setAttribute("aria-selected", button.dataset.tab === which);
  at("html").hidden = which !== "html";
  at("plain").hidden = which === "html";
  if (which === "html") at("html").src = `view/${mail.ID}.html`;
  else if (which === "text") at("plain").textContent = mail.Text;
  else {
    const source = await (await get(`api/v1/message/${mail.ID}/raw`)).text();
    if (chosen === mail.ID) at("plain").textContent = source;
  }
}

function close() {
  chosen = null;
  at("mail").hidden = true;
  at("html").src = "about:blank";
  at("empty").hidden = false;
}

// Up and down walk through the list.
at("list").addEventListener("keydown", (event) => {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  const next = step && event.target.closest("li")?.[step];
  if (!next) return;
  event.preventDefault();
  next.querySelector(".row").focus();
  open(next.dataset.id);
});

at("query").addEventListener("input", refresh);
at("clear").addEventListener("click", () => fetch("api/v1/messages", { method: "DELETE" }));

const events = new EventSource("events");
events.addEventListener("change", refresh);
events.addEventListener("open", refresh); // also after a restart of the server
events.addEventListener("error", () => (at("state").textContent = "Truegate has stopped; waiting for it to come back"));
