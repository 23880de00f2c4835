// The model calls of a run: those that go on, and what each took and cost.

/** @typedef {import("./items.js").ModelCall} ModelCall */

export class ModelCalls {
    /** @param {Set<any>} changed gets each call that is new or different. */
    constructor(changed) {
        /** @type {ModelCall[]} In the order in which they are known. */
        this.calls = [];
        /** @type {Map<string, {prompt: number, completion: number}>} The tokens of each agent. */
        this.costs = new Map();
        /** @type {ModelCall[]} */
        this._open = [];
        this._changed = changed;
    }

    /**
     * @param {import("./events.js").ModelCalledEvent} event
     * @param {number} now
     */
    begin(event, now) {
        this._open.push(this._new(event.agent, event.model, now));
    }

    /**
     * A `usage` ends that call of its agent that began when it says. Model clients of others tell no beginning.
     * @param {import("./events.js").UsageEvent} event
     * @param {number} now
     */
    end(event, now) {
        const sum = this.costs.get(event.agent) ?? { prompt: 0, completion: 0 };
        this.costs.set(event.agent, { prompt: sum.prompt + event.prompt_tokens, completion: sum.completion + event.completion_tokens });
        const began = Math.max(0, now - (event.duration_s ?? 0));
        const ended = this._openOf(event.agent, began) ?? this._new(event.agent, event.model, began);
        this._open = this._open.filter((each) => each !== ended);
        Object.assign(ended, { end: now, usage: event, model: event.model || ended.model });
        this._changed.add(ended);
    }

    /**
     * The run is over: calls that go on are broken off.
     * @param {number} now
     */
    endAll(now) {
        for (const call of this._open) {
            call.end = now;
            this._changed.add(call);
        }
        this._open = [];
    }

    /**
     * @param {string} agent
     * @param {number} began
     */
    _openOf(agent, began) {
        /** @param {ModelCall} call */
        const distance = (call) => Math.abs(call.begin - began);
        const own = this._open.filter((call) => call.agent === agent);
        return own.sort((one, other) => distance(one) - distance(other)).at(0);
    }

    /**
     * @param {string} agent
     * @param {string} model
     * @param {number} begin
     * @returns {ModelCall}
     */
    _new(agent, model, begin) {
        /** @type {ModelCall} */
        const call = { kind: "model", id: this.calls.length, agent, model, begin, end: null, usage: null };
        this.calls.push(call);
        this._changed.add(call);
        return call;
    }
}
