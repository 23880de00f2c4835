// What the agents say and do, item by item, as it happens.

import { codeBlock, GrowingMarkdown } from "./markdown.js";
import { colourOf, count, element, seconds } from "./dom.js";

const SIGNS = { thinking: "🤔", validation: "🛡", analysis: "📊", message: "💬", final: "✅" };
const NAMES = { thinking: "thinks", validation: "checks", analysis: "analyses", message: "says", final: "answers" };
const REMARKS = { routing: "🎯", notice: "📌", error: "❌", question: "🙋" };
const NEAR_THE_END_PX = 60;

/** Shows the items of one `RunLog` in a list. `scrolled` is the element that scrolls. */
export class Transcript {
    constructor(log, scrolled) {
        this._log = log;
        this._scrolled = scrolled;
        this._shown = new Map();
        this.list = element("ol", { class: "transcript", "aria-label": "Transcript" });
    }

    /** Bring these items up to date. Stays at the end of the text if it is there. */
    show(items) {
        const { scrollHeight, scrollTop, clientHeight } = this._scrolled;
        const follows = scrollHeight - scrollTop - clientHeight < NEAR_THE_END_PX;
        for (const item of [...items].sort((one, other) => one.id - other.id)) this._show(item);
        if (follows) this._scrolled.scrollTop = this._scrolled.scrollHeight;
    }

    _show(item) {
        let shown = this._shown.get(item.id);
        if (shown === undefined) {
            const Kind = { message: Message, call: Call, remark: Remark }[item.kind];
            shown = new Kind(item, this._log.agents.indexOf(item.agent));
            this._shown.set(item.id, shown);
            this.list.append(shown.entry);
        }
        shown.update(item);
    }
}

class Message {
    constructor(item, lane) {
        this._sign = element("span", { "aria-hidden": "true" });
        this._does = element("span", { class: "does" });
        this._took = element("span", { class: "took" });
        const title = element("h2", null, this._sign, " ", element("b", { class: colourOf(lane) }, item.agent), " ", this._does, " ", this._took);
        this._text = element("div", { class: "text" });
        this._markdown = new GrowingMarkdown(this._text);
        this.entry = element("li", null, title, this._text);
    }

    update(item) {
        this.entry.className = `message ${item.says}${item.end === null ? " open" : ""}`;
        this._sign.textContent = SIGNS[item.says] ?? "💬";
        const verdict = { true: "approved", false: "refused" }[item.approved];
        this._does.textContent = verdict ?? NAMES[item.says] ?? item.says;
        if (item.end !== null && item.tokens) this._took.textContent = `${count(item.tokens, "token")} in ${seconds(item.end - item.begin)}`;
        this._markdown.show(item.text);
    }
}

class Call {
    constructor(item, lane) {
        this._state = element("span", { class: "took" });
        this._result = element("div");
        const line = element("summary", null, "⚡ ", element("b", { class: colourOf(lane) }, item.agent), " calls ", element("code", null, item.tool), " ", this._state);
        this._fold = element("details", null, line, ...given(item.given), this._result);
        this.entry = element("li", { class: "call" }, this._fold);
    }

    update(item) {
        this.entry.classList.toggle("open", item.end === null);
        this.entry.classList.toggle("failed", item.isError);
        if (item.end === null) {
            this._state.textContent = "…";
        } else if (item.result === null) {
            this._state.textContent = "no result";
        } else {
            const what = item.isError ? "failed" : item.summary || "done";
            this._state.textContent = `${what} · ${seconds(item.end - item.begin)}`;
            this._result.replaceChildren(...result(item.result));
        }
    }
}

class Remark {
    constructor(item, lane) {
        const who = item.agent ? [element("b", { class: colourOf(lane) }, item.agent), " "] : [];
        this.entry = element("li", { class: `remark ${item.what}` }, element("span", { "aria-hidden": "true" }, REMARKS[item.what]), " ", ...who, item.text);
    }

    update() {}
}

/** The arguments of a call: SQL as such, the rest as JSON. */
function given(text) {
    let values;
    try {
        values = JSON.parse(text);
    } catch {
        return text ? [codeBlock(text, "")] : [];
    }
    if (values === null || typeof values !== "object" || Array.isArray(values)) return [codeBlock(text, "json")];
    const { shown, rest } = apart(values);
    return [...shown, ...(Object.keys(rest).length ? [codeBlock(JSON.stringify(rest, null, 2), "json")] : [])];
}

function apart(values) {
    const rest = { ...values };
    const shown = [];
    for (const name of ["sql", "query"]) {
        if (typeof rest[name] === "string" && /^\s*(?:select|with|values|explain|\(|--|\/\*)/i.test(rest[name])) {
            shown.push(codeBlock(rest[name], "sql"));
            delete rest[name];
        }
    }
    return { shown, rest };
}

/** A result: a table or a picture as such, SQL marked, all else as it is. */
function result(text) {
    const shown = element("div", { class: "text" });
    if (/^\s*(?:\||!\[)/.test(text)) new GrowingMarkdown(shown).show(text);
    else shown.append(codeBlock(text, /\bcreate table\b/i.test(text) ? "sql" : ""));
    return [shown];
}
