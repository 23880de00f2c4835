// What is known of one bar of the timeline.

import { element } from "./dom.js";
import { bytes, seconds } from "./words.js";

/** @typedef {import("./items.js").Bar} Bar */
/** @typedef {[string, string|number|null|undefined]} Row */

/**
 * A panel for a bar.
 * @param {Bar} item
 * @param {() => void} onClose
 */
export function detailsOf(item, onClose) {
    const rows = rowsOf(item).filter(([, value]) => value !== null && value !== undefined && value !== "");
    return element(
        "section",
        { class: "details", "aria-label": "Details", tabindex: -1, onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && onClose() },
        element("button", { type: "button", class: "quiet close", "aria-label": "Close the details", onclick: onClose }, "✕"),
        element("h2", null, `${item.agent}: ${titleOf(item)}`),
        element("dl", null, rows.flatMap(([name, value]) => [element("dt", null, name), element("dd", null, String(value))])),
    );
}

/** @param {Bar} item */
const titleOf = (item) => (item.kind === "model" ? "model call" : item.kind === "call" ? `tool ${item.tool}` : item.says);

/** @param {Bar} item */
const rowsOf = (item) => (item.kind === "model" ? modelCall(item) : item.kind === "call" ? toolCall(item) : message(item));

/**
 * @param {Bar} item
 * @returns {Row[]}
 */
const when = (item) => [
    ["began after", seconds(item.begin)],
    ["took", item.end === null ? "it goes on" : seconds(item.end - item.begin)],
];

/**
 * @param {import("./items.js").ModelCall} call
 * @returns {Row[]}
 */
function modelCall(call) {
    const { usage } = call;
    if (usage === null) return [["model", call.model], ...when(call), ["answer", call.end === null ? null : "broken off"]];
    const writing = (usage.duration_s ?? 0) - (usage.first_token_s ?? 0);
    return [
        ["model", call.model],
        ...when(call),
        ["to the first token", seconds(usage.first_token_s)],
        ["tokens read", usage.prompt_tokens.toLocaleString("en")],
        ["tokens written", usage.completion_tokens.toLocaleString("en")],
        ["tokens a second", writing > 0 && usage.completion_tokens ? Math.round(usage.completion_tokens / writing).toLocaleString("en") : null],
        ["request", usage.request_bytes && bytes(usage.request_bytes)],
        ["answer", usage.answer_bytes && bytes(usage.answer_bytes)],
        ["error", usage.error],
    ];
}

/**
 * @param {import("./items.js").CallItem} call
 * @returns {Row[]}
 */
function toolCall(call) {
    return [
        ...when(call),
        ["arguments", `${call.given.length.toLocaleString("en")} characters`],
        ["result", call.result === null ? (call.isClients ? "the client brings it" : "none") : `${call.result.length.toLocaleString("en")} characters`],
        ["in short", call.summary],
        ["answered by", call.answeredBy === call.agent ? null : call.answeredBy],
        ["error", call.isError ? call.result : null],
    ];
}

/**
 * @param {import("./items.js").MessageItem} item
 * @returns {Row[]}
 */
function message(item) {
    const took = (item.end ?? item.begin) - item.begin;
    return [
        ...when(item),
        ["length", `${item.text.length.toLocaleString("en")} characters`],
        ["pieces", item.tokens || null],
        ["pieces a second", item.tokens && took > 0 ? Math.round(item.tokens / took).toLocaleString("en") : null],
        ["verdict", item.approved === null ? null : item.approved ? "approved" : "refused"],
    ];
}
