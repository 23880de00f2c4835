// Requests to the server that this page came from. The key stays in this tab: sessionStorage is no other tab's.

const KEPT_AS = "aiostream-key";

/** A request that was refused. `status` is 0 where there was no answer. */
export class Refused extends Error {
    /**
     * @param {string} message
     * @param {number} status
     */
    constructor(message, status) {
        super(message);
        this.status = status;
    }
}

export const storedKey = () => sessionStorage.getItem(KEPT_AS) ?? "";

/** @param {string} key Empty: forget it. */
export function keepKey(key) {
    if (key) sessionStorage.setItem(KEPT_AS, key);
    else sessionStorage.removeItem(KEPT_AS);
}

/**
 * The address of `path` on this server, below whatever prefix a proxy serves it.
 * @param {string} path
 */
export const addressOf = (path) => new URL(path, document.baseURI).href;

/** @typedef {{method?: string, body?: unknown, signal?: AbortSignal}} Options */

/**
 * The answer to a request. Throws `Refused`. `body` is sent as JSON.
 * @param {string} path
 * @param {Options} [options]
 */
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
        if (isAbort(error)) throw error;
        throw new Refused("The server does not answer.", 0);
    }
    if (!answer.ok) throw new Refused(await reasonOf(answer), answer.status);
    return answer;
}

/**
 * The JSON of the answer. Throws `Refused`.
 * @param {string} path
 * @param {Options} [options]
 */
export const json = async (path, options) => (await request(path, options)).json();

/**
 * Whether this page broke the request off itself.
 * @param {unknown} error
 */
export const isAbort = (error) => error instanceof DOMException && error.name === "AbortError";

/** @param {string} id */
export const pathOf = (id) => `v1/runs/${encodeURIComponent(id)}`;

/** @param {string} id */
export const cancel = (id) => json(`${pathOf(id)}/cancel`, { method: "POST", body: {} });

/**
 * What to tell of an error that is the server's, or the network's. All others are thrown.
 * @param {unknown} error
 */
export function messageOf(error) {
    if (error instanceof Refused) return error.message;
    throw error;
}

/** @param {Response} answer */
async function reasonOf(answer) {
    try {
        return String((await answer.json()).error.message);
    } catch {
        return `The server answered ${answer.status}.`;
    }
}
