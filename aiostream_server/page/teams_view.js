// The teams: what each does, its picture, and questions to try.

import { element } from "./dom.js";
import { Graph } from "./graph.js";
import { speakersOf } from "./shape.js";
import { count, someOf } from "./words.js";

/** @typedef {import("./events.js").TeamObject} Team */
/** @typedef {(model: string, question: string) => void} Ask */

const MOST_TOOLS = 40;

/**
 * @param {Team[]} teams
 * @param {Ask} onAsk
 */
export function teamsView(teams, onAsk) {
    const choice = element(
        "select",
        { id: "team" },
        element("option", { value: "auto" }, "Auto: the team that suits the question"),
        teams.map((team) => element("option", { value: team.id }, team.name)),
    );
    const question = element("textarea", { id: "question", rows: 3, required: true, placeholder: teams.flatMap((team) => team.examples)[0] ?? "" });
    const onsubmit = (/** @type {Event} */ event) => {
        event.preventDefault();
        if (question.value.trim()) onAsk(choice.value, question.value);
    };
    question.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) onsubmit(event);
    });
    return element(
        "div",
        { class: "teams" },
        element("h1", null, "Ask a team, and watch it work"),
        element("form", { class: "ask", onsubmit }, element("label", { for: "team" }, "Team"), choice, element("label", { for: "question" }, "Question"), question, element("button", { class: "main" }, "Ask")),
        element("ul", { class: "cards" }, teams.map((team) => card(team, onAsk))),
    );
}

/**
 * @param {Team} team
 * @param {Ask} onAsk
 */
function card(team, onAsk) {
    const shape = /** @type {import("./shape.js").Shape|null} */ (team.shape);
    const graph = new Graph(shape, team.name);
    const examples = team.examples.map((example) => element("li", null, element("button", { type: "button", onclick: () => onAsk(team.id, example) }, example)));
    return element(
        "li",
        { class: "card" },
        element("h2", null, team.name),
        element("p", null, team.description),
        shape === null ? element("p", { class: "notice" }, "This team cannot be shown: it could not be built. The server's log says why.") : [graph.picture, members(shape)],
        examples.length ? element("ul", { class: "examples", "aria-label": `Examples for ${team.name}` }, examples) : null,
    );
}

/** @param {import("./shape.js").Shape} shape */
function members(shape) {
    const { speakers } = speakersOf(shape);
    const rows = speakers.map(({ name, kind, model, tools, isPerson }) =>
        element(
            "tr",
            null,
            element("th", { scope: "row" }, name),
            element("td", null, isPerson ? "a person" : kind),
            element("td", null, model ?? "–"),
            element("td", null, tools.length ? someOf(tools, MOST_TOOLS) : "–"),
        ),
    );
    const head = element("tr", null, ["Agent", "Kind", "Model", "Tools"].map((title) => element("th", { scope: "col" }, title)));
    const table = element("table", null, element("thead", null, head), element("tbody", null, rows));
    const agents = speakers.filter(({ isPerson, isManager }) => !isPerson && !isManager);
    return element("details", null, element("summary", null, `${count(agents.length, "agent")}, models and tools`), element("div", { class: "wide" }, table));
}
