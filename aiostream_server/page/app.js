// Which of the three pages is shown: the teams, the runs, or one run. The address says so; `history` changes it.

import { addressOf, json, keepKey, pathOf, Refused, storedKey } from "./api.js";
import { byId, element } from "./dom.js";
import { bring } from "./pictures.js";
import { RunView } from "./run_view.js";
import { RunsView } from "./runs_view.js";
import { teamsView } from "./teams_view.js";

/** @typedef {import("./events.js").RunObject} RunObject */
/** @typedef {{view: HTMLElement, close?: () => void, spoken?: Node[]}} View */

const main = byId("main", HTMLElement);
const problem = byId("problem", HTMLElement);
const root = new URL("./", document.baseURI);
const NAME = "aiostream-server";
const FILE = { id: "", model: "", team: null, question: "", conversation: null };
/** @type {View|null} */
let shown = null;
/** @type {import("./events.js").TeamObject[]} */
let teams = [];
let visits = 0;

// From here on relative addresses count from the page's root, whatever the address bar says.
byId("base", HTMLBaseElement).href = root.href;

/**
 * @param {View} view
 * @param {string} title
 */
function show(view, title) {
    shown?.close?.();
    shown = view;
    main.replaceChildren(view.view);
    document.title = `${title} · ${NAME}`;
    tellProblem("");
}

/** @param {string} text */
function tellProblem(text) {
    problem.textContent = text;
    problem.hidden = !text;
}

/**
 * @param {string} path
 * @param {Node[]} [earlier]
 */
async function go(path, earlier = []) {
    history.pushState(null, "", addressOf(path));
    await route(earlier);
    main.focus();
    scrollTo(0, 0);
}

/** @param {Node[]} [earlier] */
async function route(earlier = []) {
    visits += 1;
    const visit = visits;
    const [page, id] = pathNow();
    for (const link of document.querySelectorAll("nav a")) {
        const isHere = /** @type {HTMLElement} */ (link).dataset.page === (page || "teams");
        if (isHere) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
    }
    try {
        teams = (await json("v1/teams")).data;
        const run = page === "runs" && id ? await json(pathOf(id)) : null;
        if (visit !== visits) return; // another page was opened meanwhile
        byId("change-key", HTMLElement).hidden = !storedKey();
        if (run !== null) openRun(run, earlier);
        else if (page === "runs") openRuns();
        else show({ view: teamsView(teams, ask) }, "Teams");
    } catch (error) {
        if (visit !== visits) return;
        if (page === "runs" && !id && error instanceof Refused && error.status === 0) openRuns(); // files need no server
        else refused(error, showProblem);
    }
}

/** The names in the address, behind the page's root. */
function pathNow() {
    const names = location.pathname.slice(root.pathname.length).split("/").filter(Boolean);
    try {
        return names.map(decodeURIComponent);
    } catch {
        return names;
    }
}

/**
 * @param {unknown} error
 * @param {(text: string) => void} onProblem
 */
function refused(error, onProblem) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401) askForKey(Boolean(storedKey()));
    else onProblem(error.message);
}

/** @param {string} text */
function showProblem(text) {
    show({ view: element("p", null, element("a", { href: "./", "data-page": "teams" }, "Back to the teams")) }, "Problem");
    tellProblem(text);
}

/**
 * @param {RunObject} run
 * @param {Node[]} earlier
 */
function openRun(run, earlier) {
    bring(new Map());
    const view = new RunView(run, teams, { earlier, onReply: reply, onProblem: tellProblem });
    show(view, run.question || "A run");
    void view.live();
}

function openRuns() {
    const view = new RunsView(teams, { onOpen: (id) => go(`runs/${encodeURIComponent(id)}`), onFile: openFile, onProblem: tellProblem });
    show(view, "Runs");
    void view.live();
}

/** @param {ReturnType<typeof import("./run_file.js").read>} file */
function openFile({ run, events, pictures }) {
    bring(pictures);
    const view = new RunView(/** @type {RunObject} */ ({ ...FILE, ...run }), teams, { onReply: null, onProblem: tellProblem });
    show(view, run.question || "A run");
    view.all(events);
}

/**
 * Start a run in a conversation of its own, so that its questions can be answered.
 * @param {string} model
 * @param {string} question
 */
const ask = (model, question) => start(model, question, newConversation());

/**
 * The reply is a run of its own; the words before it stay on the page.
 * @param {RunObject} run
 * @param {string} words
 */
const reply = (run, words) => start(run.model, words, run.conversation, shown?.spoken);

const newConversation = () => `page-${[...crypto.getRandomValues(new Uint8Array(12))].map((each) => each.toString(36)).join("")}`;

/**
 * @param {string} model
 * @param {string} content
 * @param {string|null} conversation
 * @param {Node[]} [earlier]
 */
async function start(model, content, conversation, earlier = []) {
    try {
        const body = { model, background: true, conversation, messages: [{ role: "user", content }] };
        const run = await json("v1/runs", { method: "POST", body });
        await go(`runs/${encodeURIComponent(run.id)}`, earlier);
    } catch (error) {
        refused(error, tellProblem);
    }
}

/** @param {boolean} isWrong The server refused the key that there is. */
function askForKey(isWrong) {
    const dialog = byId("key-dialog", HTMLDialogElement);
    const field = byId("key", HTMLInputElement);
    field.value = "";
    dialog.returnValue = "";
    byId("key-problem", HTMLElement).textContent = isWrong ? "The server does not know this key." : "";
    dialog.onclose = () => {
        if (dialog.returnValue === "ok") {
            keepKey(field.value.trim());
            void route();
        } else if (shown === null) {
            byId("change-key", HTMLElement).hidden = false;
            tellProblem("This server answers with an API key only.");
        }
    };
    if (!dialog.open) dialog.showModal();
}

byId("change-key", HTMLElement).addEventListener("click", () => askForKey(false));
byId("no-key", HTMLElement).addEventListener("click", () => byId("key-dialog", HTMLDialogElement).close());
byId("skip", HTMLElement).addEventListener("click", (event) => {
    event.preventDefault(); // its address counts from the root, and would leave the page
    main.focus();
});
document.addEventListener("click", (event) => {
    const link = /** @type {Element} */ (event.target).closest("a[data-page], a.brand");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    void go(link.getAttribute("href") ?? "./");
});
window.addEventListener("popstate", () => route());
void route();
