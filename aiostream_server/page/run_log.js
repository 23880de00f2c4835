// A run's events -> what a page shows of it. Pure: no DOM, no clock; the same events give the same run.
// The kinds of events are described in events.js.

import { ModelCalls } from "./model_calls.js";
import { nameOf } from "./words.js";

/** @typedef {import("./events.js").RunEvent} RunEvent */
/** @typedef {import("./items.js").Item} Item */
/** @typedef {import("./items.js").MessageItem} MessageItem */
/** @typedef {import("./items.js").CallItem} CallItem */
/** @typedef {Extract<RunEvent, {streamed: boolean}>} Speech */

const OUTCOMES = new Map([
    ["stop", "done"],
    ["length", "cut off"],
    ["content_filter", "withheld"],
    ["refusal", "refused"],
    ["tool_calls", "waits for a tool"],
    ["cancelled", "cancelled"],
    ["error", "failed"],
    ["interrupted", "interrupted"],
]);

/** @param {string} text */
const bare = (text) => text.replace(/\s+/g, "");

/**
 * What became of a run, in a word or two.
 * @param {string|null|undefined} reason
 */
export const outcomeOf = (reason) => (reason ? (OUTCOMES.get(reason) ?? reason) : "running");

/**
 * Everything that is known of a run after some of its events.
 *
 * `items` and `models.calls` are in the order in which they began. Times are in seconds from the run's first
 * event: `now` is that of the last one. `changed` holds what is new or different since `takeChanges` was called last.
 */
export class RunLog {
    constructor() {
        /** @type {Item[]} */
        this.items = [];
        /** @type {string[]} */
        this.agents = [];
        /** @type {Set<string>} */
        this.speaking = new Set();
        /** @type {Set<string>} Those that answered tool calls of others. */
        this.answered = new Set();
        /** @type {Set<Item|import("./items.js").ModelCall>} */
        this.changed = new Set();
        this.models = new ModelCalls(this.changed);
        /** @type {number|null} Unix time. */
        this.started = null;
        this.now = 0;
        this.seq = 0;
        this.tokens = 0;
        /** @type {import("./events.js").RoutingEvent|null} */
        this.routing = null;
        /** @type {import("./events.js").RunFinishedEvent|null} */
        this.finished = null;
        /** @type {import("./events.js").InputRequestedEvent|null} */
        this.asks = null;
        this.waits = "";
        this._from = 0; // the first item that counts: behind it, the team began again
        /** @type {Map<string, MessageItem>} */
        this._open = new Map();
        /** @type {Map<string, CallItem>} */
        this._calls = new Map();
        /** @type {Map<string, string>} Each agent's name as it came, and as it is shown. */
        this._names = new Map();
    }

    /** @param {RunEvent[]} events in their order; those that are known already are passed over. */
    add(events) {
        for (const event of events) {
            if (event.seq <= this.seq) continue;
            this.seq = event.seq;
            this.waits = event.type === "waiting" && event.position !== 0 ? event.content : "";
            const at = Date.parse(event.timestamp) / 1000;
            this.started ??= at;
            this.now = Math.max(this.now, at - this.started);
            this._add(this._named(event));
        }
    }

    takeChanges() {
        const changed = [...this.changed];
        this.changed.clear();
        return changed;
    }

    get isOver() {
        return this.finished !== null;
    }

    /**
     * The event, with its agent's name as it is shown.
     * @template {RunEvent} T
     * @param {T} event
     * @returns {T}
     */
    _named(event) {
        if (!("agent" in event)) return event;
        let name = this._names.get(event.agent);
        if (name === undefined) {
            name = nameOf(event.agent);
            this._names.set(event.agent, name);
        }
        return name === event.agent ? event : { ...event, agent: name };
    }

    /** @param {RunEvent} event of any kind: those of a newer server are passed over. */
    _add(event) {
        switch (event.type) {
            case "token":
                return this._token(event);
            case "thinking":
            case "validation":
            case "analysis":
            case "message":
            case "final":
                return this._speech(event);
            case "action_token": // the whole call follows
                return this._lane(event.agent);
            case "action":
            case "tool_requested":
                return this._action(event);
            case "tool_result":
                return this._toolResult(event);
            case "model_called":
                this._lane(event.agent);
                return this.models.begin(event, this.now);
            case "usage":
                this._lane(event.agent);
                return this.models.end(event, this.now);
            case "routing":
                return this._routed(event);
            case "notice":
                return this._remark(event.agent, "notice", event.content);
            case "input_requested":
                this.asks = event;
                return this._remark(event.agent, "question", "waits for your reply");
            case "restarted":
                this._endAll();
                this._calls.clear();
                this._from = this.items.length;
                return this._remark("", "notice", event.content);
            case "dropped":
                return this._remark("", "notice", `The server no longer keeps the events ${event.first} to ${event.seq}.`);
            case "error":
                return this._remark("", "error", event.message);
            case "run_finished":
                return this._finish(event);
        }
    }

    /** @param {string} agent */
    _lane(agent) {
        if (agent && !this.agents.includes(agent)) this.agents.push(agent);
    }

    /**
     * @template {Item} T
     * @param {T} item
     */
    _new(item) {
        this.items.push(item);
        this.changed.add(item);
        this._lane(item.agent);
        return item;
    }

    /**
     * @param {string} agent
     * @param {import("./items.js").RemarkItem["what"]} what
     * @param {string} text
     */
    _remark(agent, what, text) {
        this._new({ kind: "remark", id: this.items.length, agent, what, text, begin: this.now, end: this.now });
    }

    /**
     * @param {string} agent
     * @param {string} says
     * @param {Partial<MessageItem>} rest
     * @returns {MessageItem}
     */
    _message(agent, says, rest) {
        const empty = { text: "", tokens: 0, approved: null, begin: this.now, end: null };
        return this._new({ kind: "message", id: this.items.length, agent, says, ...empty, ...rest });
    }

    /** @param {import("./events.js").TokenEvent} event */
    _token(event) {
        this.tokens += 1;
        let open = this._open.get(event.agent);
        if (open === undefined || open.says !== event.kind) {
            this._close(event.agent);
            open = this._message(event.agent, event.kind, {});
            this._open.set(event.agent, open);
            this.speaking.add(event.agent);
        }
        open.text += event.content;
        open.tokens += 1;
        this.changed.add(open);
    }

    /** @param {Speech} event */
    _speech(event) {
        const open = this._close(event.agent);
        const approved = event.type === "validation" ? event.approved : null;
        if (event.streamed && open) {
            open.says = event.type;
            open.approved = approved;
            this.changed.add(open);
        } else if (event.content.trim()) {
            const same = event.type === "final" ? this._earlier(event) : [];
            for (const item of same) {
                item.says = "final";
                this.changed.add(item);
            }
            if (!same.length) this._message(event.agent, event.type, { text: event.content, approved, end: this.now });
        }
    }

    /**
     * The messages that have the answer's words already: one, or the last ones of the agent together.
     * @param {Speech} event
     */
    _earlier(event) {
        const wanted = bare(event.content);
        /** @type {MessageItem[]} */
        const own = [];
        for (const item of this.items.slice(this._from)) if (item.kind === "message" && item.agent === event.agent && item.says !== "thinking") own.push(item);
        const same = own.findLast((item) => bare(item.text) === wanted);
        if (same) return [same];
        for (let from = own.length - 1, words = ""; from >= 0 && words.length < wanted.length; from -= 1) {
            words = bare(own[from].text) + words;
            if (words === wanted) return own.slice(from);
        }
        return [];
    }

    /** @param {string} agent */
    _close(agent) {
        const open = this._open.get(agent);
        if (open !== undefined) {
            open.end = this.now;
            this.changed.add(open);
            this._open.delete(agent);
        }
        this.speaking.delete(agent);
        return open;
    }

    /** @param {import("./events.js").ActionEvent|import("./events.js").ToolRequestedEvent} event */
    _action(event) {
        this._close(event.agent);
        this._calls.set(event.call_id, this._call(event.agent, event.tool, event.arguments, event.type === "tool_requested"));
        this.speaking.add(event.agent);
    }

    /**
     * @param {string} agent
     * @param {string} tool
     * @param {string} given
     * @param {boolean} isClients
     * @returns {CallItem}
     */
    _call(agent, tool, given, isClients) {
        const open = { begin: this.now, end: null, result: null, isError: false, summary: "", answeredBy: "" };
        return this._new({ kind: "call", id: this.items.length, agent, tool: nameOf(tool), given, isClients, ...open });
    }

    /** @param {import("./events.js").ToolResultEvent} event */
    _toolResult(event) {
        const call = this._calls.get(event.call_id) ?? this._call(event.agent, event.tool, "", false);
        Object.assign(call, { result: event.content, isError: event.is_error, summary: event.summary, end: this.now });
        call.answeredBy = event.agent;
        this.answered.add(event.agent);
        this.changed.add(call);
        this.speaking.delete(call.agent);
    }

    /** @param {import("./events.js").RoutingEvent} event */
    _routed(event) {
        if (event.team === null) return;
        this.routing = event;
        const sure = event.confidence === null ? "" : ` (${Math.round(event.confidence * 100)} % sure)`;
        this._remark(event.agent, "routing", `${event.team_name ?? event.team}${sure}: ${event.content}`);
    }

    /** @param {import("./events.js").RunFinishedEvent} event */
    _finish(event) {
        this._endAll();
        this.finished = event;
    }

    _endAll() {
        for (const agent of [...this._open.keys()]) this._close(agent);
        for (const call of this._calls.values()) {
            if (call.end === null) {
                call.end = this.now;
                this.changed.add(call);
            }
        }
        this.models.endAll(this.now);
        this.speaking.clear();
    }
}
