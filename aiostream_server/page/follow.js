// A run's events from the server's log, as they come: each once and in order, over lost connections.

import { isAbort, pathOf, Refused, request } from "./api.js";

/** @typedef {import("./events.js").RunEvent} RunEvent */
/** @typedef {import("./events.js").RunObject} RunObject */

const RETRY_MS = 1000;
const LONGEST_RETRY_MS = 10000;
const HANG_UP_AFTER_MS = 2000;

/**
 * Follow a run to its end. Throws `Refused` where the server refuses, and AbortError.
 *
 * A browser opens six connections to a server, for all its tabs. So a hidden tab gives its own back, and goes on where it
 * was when it is looked at; but not where the run is cancelled when its last viewer leaves.
 * @param {RunObject} run
 * @param {(events: RunEvent[]) => void} onEvents What has arrived at once.
 * @param {Object} options
 * @param {AbortSignal} options.signal
 * @param {(isLost: boolean) => void} options.onLost The connection is lost, or back.
 * @param {(unixMs: number) => void} options.onClock The server's clock, as it answers.
 */
export async function follow(run, onEvents, { signal, onLost, onClock }) {
    let last = 0;
    let waitMs = RETRY_MS;
    for (;;) {
        const attempt = new Attempt(signal, run.on_disconnect === "continue");
        try {
            const answer = await request(`${pathOf(run.id)}/events?starting_after=${last}`, { signal: attempt.signal });
            onClock(Date.parse(answer.headers.get("Date") ?? ""));
            onLost(false);
            for await (const events of eventsIn(answer.body)) {
                last = events[events.length - 1].seq;
                waitMs = RETRY_MS;
                onEvents(events);
                if (events[events.length - 1].type === "run_finished") return;
            }
        } catch (error) {
            signal.throwIfAborted();
            if (error instanceof Refused && !isPassing(error.status)) throw error;
            if (!(error instanceof Refused || error instanceof TypeError || isAbort(error))) throw error;
        } finally {
            attempt.end();
        }
        if (attempt.signal.aborted) {
            await untilVisible();
        } else {
            onLost(true);
            await new Promise((resolve) => setTimeout(resolve, waitMs));
            waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS);
        }
        signal.throwIfAborted();
    }
}

/** @param {number} status */
const isPassing = (status) => status === 0 || status === 429 || status >= 500;

class Attempt {
    /**
     * @param {AbortSignal} outer
     * @param {boolean} mayHangUp
     */
    constructor(outer, mayHangUp) {
        const inner = new AbortController();
        this.signal = AbortSignal.any([outer, inner.signal]);
        this._timer = 0;
        this._look = () => {
            clearTimeout(this._timer);
            if (document.hidden && mayHangUp) this._timer = setTimeout(() => inner.abort(), HANG_UP_AFTER_MS);
        };
        document.addEventListener("visibilitychange", this._look);
        this._look();
    }

    end() {
        clearTimeout(this._timer);
        document.removeEventListener("visibilitychange", this._look);
    }
}

async function untilVisible() {
    while (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

/**
 * The JSON of each `data:` line of a stream of server-sent events: what arrives at once, at once.
 * @param {ReadableStream<Uint8Array>|null} body
 * @returns {AsyncGenerator<RunEvent[]>}
 */
async function* eventsIn(body) {
    if (body === null) return;
    const reader = body.pipeThrough(/** @type {ReadableWritablePair<string, Uint8Array>} */ (new TextDecoderStream())).getReader();
    let rest = "";
    try {
        for (;;) {
            const { value, done } = await reader.read();
            if (done) return;
            const lines = (rest + value).split("\n");
            rest = lines.pop() ?? "";
            const events = lines.filter((line) => line.startsWith("data:")).map((line) => JSON.parse(line.slice(5)));
            if (events.length) yield events;
        }
    } finally {
        reader.cancel().catch(() => {});
    }
}
