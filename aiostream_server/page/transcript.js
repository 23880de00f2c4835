// What the agents say and do, item by item, as it happens.

import { colourOf, element, tell } from "./dom.js";
import { GrowingText } from "./growing_text.js";
import { codeBlock } from "./markdown.js";
import { count, seconds } from "./words.js";

/** @typedef {import("./items.js").Item} Item */
/** @typedef {import("./items.js").MessageItem} MessageItem */
/** @typedef {import("./items.js").CallItem} CallItem */
/** @typedef {import("./items.js").RemarkItem} RemarkItem */

/** @type {Record<string, [string, string]>} The sign and the verb of each kind of speech. */
const SPEECHES = { thinking: ["🤔", "thinks"], validation: ["🛡", "checks"], analysis: ["📊", "analyses"], message: ["💬", "says"], final: ["✅", "answers"] };
const REMARKS = { routing: "🎯", notice: "📌", error: "❌", question: "🙋" };
const MOST_MS = 8; // of a frame

export class Transcript {
    /**
     * @param {import("./run_log.js").RunLog} log
     */
    constructor(log) {
        this._log = log;
        /** @type {Map<number, {entry: HTMLElement, update: (item: any) => boolean}>} */
        this._shown = new Map();
        /** @type {Item[]} Items of which a part is not shown yet. */
        this._rest = [];
        this.list = element("ol", { class: "transcript", "aria-label": "Transcript" });
    }

    /**
     * Bring these items up to date. Returns whether all is shown: else
     * call it again in the next frame.
     * @param {Item[]} items
     */
    show(items) {
        const wanted = [...new Set([...this._rest, ...items])].sort((one, other) => one.id - other.id);
        if (!wanted.length) return true;
        const until = performance.now() + MOST_MS;
        this._rest = wanted.filter((item) => performance.now() > until || !this._show(item, until));
        if (this._rest.length) this.list.setAttribute("aria-busy", "true");
        else this.list.removeAttribute("aria-busy");
        return !this._rest.length;
    }

    /**
     * @param {Item} item
     * @param {number} until When to stop, in the time of `performance.now`.
     */
    _show(item, until) {
        let shown = this._shown.get(item.id);
        if (shown === undefined) {
            const lane = this._log.agents.indexOf(item.agent);
            shown = item.kind === "message" ? new Message(item, lane) : item.kind === "call" ? new Call(item, lane) : new Remark(item, lane);
            this._shown.set(item.id, shown);
            this.list.append(shown.entry);
        }
        let isAll = shown.update(item);
        while (!isAll && performance.now() < until) isAll = shown.update(item);
        return isAll;
    }
}

class Message {
    /**
     * @param {MessageItem} item
     * @param {number} lane
     */
    constructor(item, lane) {
        this._sign = element("span", { "aria-hidden": "true" });
        this._does = element("span", { class: "does" });
        this._took = element("span", { class: "took" });
        const title = element("h2", null, this._sign, " ", element("b", { class: colourOf(lane) }, item.agent), " ", this._does, " ", this._took);
        const text = element("div", { class: "text" });
        this._text = new GrowingText(text);
        this.entry = element("li", null, title, text);
    }

    /** @param {MessageItem} item */
    update(item) {
        const says = Object.hasOwn(SPEECHES, item.says) ? item.says : "message";
        const [sign, verb] = SPEECHES[says];
        const shown = `message ${says}${item.end === null ? " open" : ""}`;
        if (this.entry.className !== shown) this.entry.className = shown;
        tell(this._sign, sign);
        tell(this._does, item.approved === null ? verb : item.approved ? "approved" : "refused");
        if (item.end !== null && item.tokens) tell(this._took, `${count(item.tokens, "token")} in ${seconds(item.end - item.begin)}`);
        return this._text.show(item.text);
    }
}

class Call {
    /**
     * @param {CallItem} item
     * @param {number} lane
     */
    constructor(item, lane) {
        this._state = element("span", { class: "took" });
        this._result = element("div", { class: "text" });
        this._table = new GrowingText(this._result);
        const line = element("summary", null, "⚡ ", element("b", { class: colourOf(lane) }, item.agent), " calls ", element("code", null, item.tool), " ", this._state);
        this.entry = element("li", { class: "call" }, element("details", null, line, ...given(item.given), this._result));
    }

    /** @param {CallItem} item */
    update(item) {
        this.entry.classList.toggle("open", item.end === null);
        this.entry.classList.toggle("failed", item.isError);
        tell(this._state, stateOf(item));
        if (item.result === null) return true;
        // A table or a picture is shown as such, SQL is marked, and all else is as it is.
        if (/^\s*(?:\||!\[)/.test(item.result)) return this._table.show(item.result);
        this._result.replaceChildren(codeBlock(item.result, /\bcreate table\b/i.test(item.result) ? "sql" : ""));
        return true;
    }
}

/** @param {CallItem} item */
function stateOf(item) {
    if (item.end === null) return "…";
    if (item.result === null) return item.isClients ? "waits for the client's result" : "no result";
    return `${item.isError ? "failed" : item.summary || "done"} · ${seconds(item.end - item.begin)}`;
}

class Remark {
    /**
     * @param {RemarkItem} item
     * @param {number} lane
     */
    constructor(item, lane) {
        const who = item.agent ? [element("b", { class: colourOf(lane) }, item.agent), " "] : [];
        this.entry = element("li", { class: `remark ${item.what}` }, element("span", { "aria-hidden": "true" }, REMARKS[item.what]), " ", ...who, element("span", null, item.text));
    }

    update() {
        return true;
    }
}

/**
 * The arguments of a call: SQL as such, the rest as JSON.
 * @param {string} text
 */
function given(text) {
    let values;
    try {
        values = JSON.parse(text);
    } catch {
        return text ? [codeBlock(text)] : [];
    }
    if (values === null || typeof values !== "object" || Array.isArray(values)) return [codeBlock(text)];
    const shown = Object.entries(values).filter(([name, value]) => isSql(name, value));
    const rest = Object.entries(values).filter(([name, value]) => !isSql(name, value));
    return [...shown.map(([, sql]) => codeBlock(sql, "sql")), ...(rest.length ? [codeBlock(JSON.stringify(Object.fromEntries(rest), null, 2))] : [])];
}

/**
 * @param {string} name
 * @param {unknown} value
 */
const isSql = (name, value) => ["sql", "query"].includes(name) && typeof value === "string" && /^\s*(?:select|with|values|explain|\(|--|\/\*)/i.test(value);
