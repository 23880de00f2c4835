// Which of the three pages is shown: the teams, the runs, or one run. The address says so; `history` changes it.

import { addressOf, json, keepKey, Refused, storedKey } from "./api.js";
import { element } from "./dom.js";
import { RunView } from "./run_view.js";
import { RunsView } from "./runs_view.js";
import { teamsView } from "./teams_view.js";

const main = document.getElementById("main");
const problem = document.getElementById("problem");
const root = new URL("./", document.baseURI);
let shown = null;
let teams = [];

// From here on relative addresses count from the page's root, whatever the address bar says.
document.querySelector("base").href = root.href;

function show(view) {
    shown?.close?.();
    shown = view;
    main.replaceChildren(view.view);
    tell("");
}

function tell(text) {
    problem.textContent = text;
    problem.hidden = !text;
}

function go(path, earlier = []) {
    history.pushState(null, "", addressOf(path));
    return route(earlier);
}

async function route(earlier = []) {
    const path = decodeURIComponent(location.pathname.slice(root.pathname.length)).replace(/\/+$/, "");
    const [page, id] = path.split("/");
    for (const link of document.querySelectorAll("nav a")) {
        const isHere = link.dataset.page === (page || "teams");
        if (isHere) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
    }
    try {
        teams = (await json("v1/teams")).data;
        document.getElementById("change-key").hidden = !storedKey();
        if (page === "runs" && id) await openRun(id, earlier);
        else if (page === "runs") openRuns();
        else show({ view: teamsView(teams, ask) });
    } catch (error) {
        if (error instanceof Refused && error.status === 401) askForKey();
        else if (error instanceof Refused) fail(error.message);
        else throw error;
    }
}

function fail(text) {
    show({ view: element("p", null, element("a", { href: "./", "data-page": "teams" }, "Back to the teams")) });
    tell(text);
}

async function openRun(id, earlier) {
    const run = await json(`v1/runs/${encodeURIComponent(id)}`);
    const view = new RunView(run, teams, { earlier, onReply: reply, onProblem: tell });
    show(view);
    document.title = `${run.question || "A run"} · aiostream-server`;
    view.live();
}

function openRuns() {
    const view = new RunsView(teams, { onOpen: (id) => go(`runs/${encodeURIComponent(id)}`), onFile: openFile, onProblem: tell });
    show(view);
    document.title = "Runs · aiostream-server";
    view.live();
}

function openFile(run, events) {
    const view = new RunView({ ...run, conversation: null }, teams, { onReply: null, onProblem: tell });
    show(view);
    view.all(events);
}

/** Start a run in a conversation of its own, so that its questions can be answered. */
const ask = (model, question) => start(model, question, newConversation());

/** The reply is a run of its own; the words before it stay on the page. */
const reply = (run, words) => start(run.model, words, run.conversation, shown.spoken);

const newConversation = () => `page-${[...crypto.getRandomValues(new Uint8Array(12))].map((each) => each.toString(36)).join("")}`;

async function start(model, content, conversation, earlier = []) {
    try {
        const body = { model, background: true, conversation, messages: [{ role: "user", content }] };
        const run = await json("v1/runs", { method: "POST", body });
        await go(`runs/${encodeURIComponent(run.id)}`, earlier);
    } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (error.status === 401) askForKey();
        else tell(error.message);
    }
}

function askForKey() {
    const dialog = document.getElementById("key-dialog");
    const field = document.getElementById("key");
    field.value = "";
    dialog.returnValue = "";
    if (storedKey()) tell("The server does not know this key.");
    dialog.onclose = () => {
        if (dialog.returnValue !== "ok") return;
        keepKey(field.value.trim());
        route();
    };
    if (!dialog.open) dialog.showModal();
}

document.getElementById("change-key").addEventListener("click", askForKey);
document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-page], a.brand");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(link.getAttribute("href"));
});
window.addEventListener("popstate", () => route());
route();
