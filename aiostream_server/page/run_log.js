// A run's events -> what a page shows of it. Pure: no DOM, no clock; the same events give the same run.
// The kinds of events are described in events.js.

/** @typedef {import("./events.js").RunEvent} RunEvent */

const SPEECHES = new Set(["thinking", "validation", "analysis", "message", "final"]);
const OUTCOMES = {
    stop: "done",
    length: "cut off",
    content_filter: "withheld",
    refusal: "refused",
    tool_calls: "waits for a tool",
    cancelled: "cancelled",
    error: "failed",
    interrupted: "interrupted",
};

const bare = (text) => text.replace(/\s+/g, "");

/** What became of a run, in a word or two. */
export const outcomeOf = (reason) => (reason === null || reason === undefined ? "running" : (OUTCOMES[reason] ?? reason));

/**
 * Everything that is known of a run after some of its events.
 *
 * `items` are in the order in which they began: messages (`kind: "message"`), tool calls (`"call"`) and remarks
 * (`"remark"`: routing, notices, errors, questions to the user). `calls` are the model calls. Times are in seconds from
 * the run's first event. `changed` holds the items that are new or different since `takeChanges` was called last.
 */
export class RunLog {
    constructor() {
        this.items = [];
        this.modelCalls = [];
        this.agents = [];
        this.speaking = new Set();
        this.started = null;
        this.now = 0;
        this.seq = 0;
        this.tokens = 0;
        this.usage = new Map();
        this.routing = null;
        this.finished = null;
        this.error = null;
        this.asks = null;
        this.waits = "";
        this.changed = new Set();
        this._open = new Map();
        this._calls = new Map();
        this._handlers = this._handlersByType();
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
            const handle = SPEECHES.has(event.type) ? this._speech : this._handlers[event.type];
            handle?.call(this, event);
        }
    }

    takeChanges() {
        const changed = this.changed;
        this.changed = new Set();
        return changed;
    }

    get isOver() {
        return this.finished !== null;
    }

    _handlersByType() {
        return {
            token: this._token,
            action: this._action,
            tool_requested: this._action,
            tool_result: this._toolResult,
            model_called: (event) => this._lane(event.agent),
            usage: this._usage,
            routing: this._routed,
            notice: (event) => this._remark(event.agent, "notice", event.content),
            input_requested: (event) => {
                this.asks = event;
                this._remark(event.agent, "question", "waits for your reply");
            },
            restarted: (event) => {
                for (const agent of this._open.keys()) this._close(agent);
                this._calls.clear();
                this.speaking.clear();
                this._remark("", "notice", event.content);
            },
            dropped: (event) => this._remark("", "notice", `events ${event.first} to ${event.seq} are kept no longer`),
            error: (event) => {
                this.error = event;
                this._remark("", "error", event.message);
            },
            run_finished: this._finish,
        };
    }

    _lane(agent) {
        if (agent && !this.agents.includes(agent)) this.agents.push(agent);
    }

    _new(item) {
        const added = { id: this.items.length, begin: this.now, end: null, ...item };
        this.items.push(added);
        this.changed.add(added);
        this._lane(item.agent);
        return added;
    }

    _remark(agent, what, text) {
        this._new({ kind: "remark", agent, what, text, end: this.now });
    }

    _token(event) {
        this.tokens += 1;
        let open = this._open.get(event.agent);
        if (open === undefined || open.says !== event.kind) {
            this._close(event.agent);
            open = this._new({ kind: "message", agent: event.agent, says: event.kind, text: "", tokens: 0 });
            this._open.set(event.agent, open);
            this.speaking.add(event.agent);
        }
        open.text += event.content;
        open.tokens += 1;
        this.changed.add(open);
    }

    _speech(event) {
        const open = this._close(event.agent);
        if (event.streamed && open) {
            open.says = event.type;
            open.approved = event.approved;
            this.changed.add(open);
        } else if (event.content.trim()) {
            const same = event.type === "final" ? this._earlier(event) : [];
            for (const item of same) {
                item.says = "final";
                this.changed.add(item);
            }
            if (!same.length) {
                const { agent, type: says, content: text, approved } = event;
                this._new({ kind: "message", agent, says, text, approved, tokens: 0, end: this.now });
            }
        }
    }

    /** The messages that have the answer's words already: one, or the last ones of the agent together. */
    _earlier(event) {
        const wanted = bare(event.content);
        const own = this.items.filter((item) => item.kind === "message" && item.agent === event.agent && item.says !== "thinking");
        const same = own.findLast((item) => bare(item.text) === wanted);
        if (same) return [same];
        for (let from = own.length - 1, words = ""; from >= 0 && words.length < wanted.length; from -= 1) {
            words = bare(own[from].text) + words;
            if (words === wanted) return own.slice(from);
        }
        return [];
    }

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

    _action(event) {
        this._close(event.agent);
        const { agent, tool, arguments: given, call_id: callId } = event;
        this._calls.set(callId, this._new({ kind: "call", agent, tool, given, result: null, isError: false, summary: "" }));
        this.speaking.add(agent);
    }

    _toolResult(event) {
        const call = this._calls.get(event.call_id) ?? this._new({ kind: "call", agent: event.agent, tool: event.tool, given: "" });
        Object.assign(call, { result: event.content, isError: event.is_error, summary: event.summary, end: this.now });
        call.answeredBy = event.agent;
        this.changed.add(call);
        this.speaking.delete(call.agent);
    }

    _usage(event) {
        this._lane(event.agent);
        const sum = this.usage.get(event.agent) ?? { prompt: 0, completion: 0 };
        sum.prompt += event.prompt_tokens;
        sum.completion += event.completion_tokens;
        this.usage.set(event.agent, sum);
        const begin = Math.max(0, this.now - (event.duration_s ?? 0));
        this.modelCalls.push({ ...event, kind: "model", begin, end: this.now });
    }

    _routed(event) {
        if (event.team === null) return;
        this.routing = event;
        const sure = event.confidence === null ? "" : ` (${Math.round(event.confidence * 100)} % sure)`;
        this._remark(event.agent, "routing", `${event.team_name ?? event.team}${sure}: ${event.content}`);
    }

    _finish(event) {
        for (const agent of [...this._open.keys()]) this._close(agent);
        for (const call of this._calls.values()) {
            if (call.end === null) {
                call.end = this.now;
                this.changed.add(call);
            }
        }
        this.speaking.clear();
        this.finished = event;
    }
}
