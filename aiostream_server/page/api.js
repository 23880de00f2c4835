// Requests to the server that this page came from. The key stays in this tab: sessionStorage is no other tab's.

const KEPT_AS = "aiostream-key";
const RETRY_MS = 1000;
const LONGEST_RETRY_MS = 10000;

/** A request that was refused. `status` is 0 where there was no answer. */
export class Refused extends Error {
    constructor(message, status) {
        super(message);
        this.status = status;
    }
}

export const storedKey = () => sessionStorage.getItem(KEPT_AS) ?? "";

export function keepKey(key) {
    if (key) sessionStorage.setItem(KEPT_AS, key);
    else sessionStorage.removeItem(KEPT_AS);
}

/** The address of `path` on this server, below whatever prefix a proxy serves it. */
export const addressOf = (path) => new URL(path, document.baseURI).href;

/** The answer to a request. Throws `Refused`. `body` is sent as JSON. */
export async function request(path, { method = "GET", body, signal } = {}) {
    const headers = new Headers();
    if (storedKey()) headers.set("Authorization", `Bearer ${storedKey()}`);
    if (body !== undefined) headers.set("Content-Type", "application/json");
    let answer;
    try {
        answer = await fetch(addressOf(path), {
            method,
            headers,
            signal,
            body: body === undefined ? undefined : JSON.stringify(body),
            cache: "no-store",
            redirect: "error",
        });
    } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new Refused("The server does not answer.", 0);
    }
    if (!answer.ok) throw new Refused(await reasonOf(answer), answer.status);
    return answer;
}

export const json = async (path, options) => (await request(path, options)).json();

async function reasonOf(answer) {
    try {
        return (await answer.json()).error.message;
    } catch {
        return `The server answered ${answer.status}.`;
    }
}

/**
 * Follow a run to its end: `onEvents` gets arrays of events in their order, each once, also over lost connections.
 * `onLost(true)` says that the connection is lost, `onLost(false)` that it is back. Throws `Refused` where the server
 * refuses, and AbortError.
 */
export async function follow(runId, onEvents, { signal, onLost = () => {} } = {}) {
    let last = 0;
    let waitMs = RETRY_MS;
    for (;;) {
        try {
            const path = `v1/runs/${encodeURIComponent(runId)}/events?starting_after=${last}`;
            const answer = await request(path, { signal });
            onLost(false);
            for await (const events of eventsIn(answer.body)) {
                last = events.at(-1).seq;
                waitMs = RETRY_MS;
                onEvents(events);
                if (events.at(-1).type === "run_finished") return;
            }
        } catch (error) {
            if (error.name === "AbortError" || (error instanceof Refused && error.status && error.status < 500)) throw error;
        }
        onLost(true);
        await new Promise((resolve) => setTimeout(resolve, waitMs));
        if (signal?.aborted) throw new DOMException("aborted", "AbortError");
        waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS);
    }
}

/** The JSON of each `data:` line of a stream of server-sent events: what arrives at once, at once. */
async function* eventsIn(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    try {
        for (;;) {
            const { value, done } = await reader.read();
            if (done) return;
            const lines = (rest + value).split("\n");
            rest = lines.pop();
            const events = lines.filter((line) => line.startsWith("data:")).map((line) => JSON.parse(line.slice(5)));
            if (events.length) yield events;
        }
    } finally {
        reader.cancel().catch(() => {});
    }
}
