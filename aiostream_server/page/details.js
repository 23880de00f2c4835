// What is known of one bar of the timeline.

import { bytes, element, seconds } from "./dom.js";

/** A panel for a message, a tool call or a model call of a `RunLog`. */
export function detailsOf(item, onClose) {
    const rows = { model: modelCall, call: toolCall, message }[item.kind](item).filter(([, value]) => value !== null && value !== undefined && value !== "");
    return element(
        "section",
        { class: "details", "aria-label": "Details", tabindex: -1 },
        element("button", { type: "button", class: "quiet close", "aria-label": "Close the details", onclick: onClose }, "✕"),
        element("h2", null, `${item.agent}: ${{ model: "model call", call: `tool ${item.tool}`, message: item.says }[item.kind]}`),
        element("dl", null, rows.flatMap(([name, value]) => [element("dt", null, name), element("dd", null, String(value))])),
    );
}

const when = (item) => [
    ["began after", seconds(item.begin)],
    ["took", item.end === null ? "it goes on" : seconds(item.end - item.begin)],
];

function modelCall(call) {
    const writing = (call.duration_s ?? 0) - (call.first_token_s ?? 0);
    return [
        ["model", call.model],
        ...when(call),
        ["to the first token", seconds(call.first_token_s)],
        ["tokens read", call.prompt_tokens.toLocaleString("en")],
        ["tokens written", call.completion_tokens.toLocaleString("en")],
        ["tokens a second", writing > 0 && call.completion_tokens ? Math.round(call.completion_tokens / writing).toLocaleString("en") : null],
        ["request", bytes(call.request_bytes)],
        ["answer", bytes(call.answer_bytes)],
        ["error", call.error],
    ];
}

function toolCall(call) {
    return [
        ...when(call),
        ["arguments", `${call.given.length.toLocaleString("en")} characters`],
        ["result", call.result === null ? "none" : `${call.result.length.toLocaleString("en")} characters`],
        ["in short", call.summary],
        ["answered by", call.answeredBy === call.agent ? null : call.answeredBy],
        ["error", call.isError ? call.result : null],
    ];
}

function message(item) {
    const took = (item.end ?? item.begin) - item.begin;
    return [
        ...when(item),
        ["length", `${item.text.length.toLocaleString("en")} characters`],
        ["pieces", item.tokens || null],
        ["pieces a second", item.tokens && took > 0 ? Math.round(item.tokens / took).toLocaleString("en") : null],
        ["verdict", { true: "approved", false: "refused" }[item.approved]],
    ];
}
