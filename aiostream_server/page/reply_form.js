// The box below a finished run: the reply to the team's question, or the next question of the conversation.

import { element } from "./dom.js";

/**
 * @param {import("./events.js").InputRequestedEvent|null} asks
 * @param {(words: string) => void} onSend
 */
export function replyForm(asks, onSend) {
    const words = asks ? { "aria-label": "Your reply", placeholder: `Reply to ${asks.agent}` } : { "aria-label": "Your next question", placeholder: "Go on asking" };
    const text = element("textarea", { rows: 2, required: true, ...words });
    const buttons = asks?.is_approval ? ["yes", "no"].map((word) => element("button", { type: "button", onclick: () => onSend(word) }, word)) : [];
    const onsubmit = (/** @type {Event} */ event) => {
        event.preventDefault();
        if (text.value.trim()) onSend(text.value);
    };
    text.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) onsubmit(event);
    });
    return element("form", { class: "reply", onsubmit }, text, element("p", { class: "buttons" }, buttons, element("button", { class: "main" }, asks ? "Reply" : "Ask")));
}
