// A run in one line: what happens now, and its figures.

import { count, seconds } from "./words.js";

/** @typedef {import("./run_log.js").RunLog} RunLog */

const MOST_SPEAKERS = 3;

/** @param {RunLog} log */
export function doing(log) {
    if (log.waits) return log.waits;
    const speakers = [...log.speaking];
    const more = speakers.length > MOST_SPEAKERS ? ` and ${speakers.length - MOST_SPEAKERS} more` : "";
    return speakers.length ? `${speakers.slice(0, MOST_SPEAKERS).join(", ")}${more} …` : "running …";
}

/**
 * @param {RunLog} log
 * @param {number} now In seconds from the run's beginning.
 */
export function figures(log, now) {
    const costs = [...log.models.costs.values()];
    const read = costs.reduce((all, { prompt }) => all + prompt, 0);
    const written = costs.reduce((all, { completion }) => all + completion, 0);
    const first = log.items.find((item) => item.kind === "message" && item.tokens > 0)?.begin;
    const parts = [
        seconds(now),
        first === undefined ? "" : `first token after ${seconds(first)}`,
        log.tokens ? count(log.tokens, "token") : "",
        log.tokens && log.now > 0 ? `${Math.round(log.tokens / log.now)} a second` : "",
        costs.length ? `cost: ${read.toLocaleString("en")} read, ${written.toLocaleString("en")} written` : "",
    ];
    return parts.filter(Boolean).join(" · ");
}
