// Markdown -> elements. marked reads it; this module makes the elements, of the kinds below and no others. HTML in a
// text is shown as text. Links lead to web addresses, in a new tab and without a referrer; pictures are this server's own.

import { Lexer } from "./libraries/marked.js";
import { element } from "./dom.js";
import { highlighted } from "./sql.js";

const DEEPEST = 24;
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };

/** The blocks of a text, as marked's tokens; each knows its `raw` text. */
export const blocksOf = (text) => new Lexer({ gfm: true }).lex(text);

export const nodesOf = (tokens, depth = 0) => tokens.flatMap((token) => nodeOf(token, depth) ?? []);

function nodeOf(token, depth) {
    if (depth > DEEPEST) return plain(token);
    const inner = () => (token.tokens ? nodesOf(token.tokens, depth + 1) : [plain(token)]);
    switch (token.type) {
        case "space":
        case "def":
            return null;
        case "paragraph":
            return element("p", null, inner());
        case "text":
        case "escape":
            return token.tokens ? inner() : plain(token);
        case "heading":
            return element(`h${Math.min(token.depth + 2, 6)}`, null, inner());
        case "strong":
        case "em":
        case "del":
            return element(token.type, null, inner());
        case "codespan":
            return element("code", null, decoded(token.text));
        case "br":
            return element("br");
        case "hr":
            return element("hr");
        case "code":
            return codeBlock(token.text, token.lang);
        case "blockquote":
            return element("blockquote", null, inner());
        case "list":
            return list(token, depth);
        case "table":
            return table(token, depth);
        case "link":
            return link(token, inner());
        case "image":
            return picture(token);
        default:
            return plain(token);
    }
}

export function codeBlock(text, language) {
    const isSql = /^sql/i.test(language ?? "");
    return element("pre", { tabindex: 0 }, element("code", null, isSql ? highlighted(text) : text));
}

function list(token, depth) {
    const items = token.items.map((item) =>
        element(
            "li",
            null,
            item.task ? element("input", { type: "checkbox", disabled: true, checked: item.checked, "aria-label": "task" }) : null,
            nodesOf(item.tokens.filter((each) => each.type !== "checkbox"), depth + 1),
        ),
    );
    return token.ordered ? element("ol", { start: token.start }, items) : element("ul", null, items);
}

function table(token, depth) {
    const cell = (name, each, index) =>
        element(name, { class: token.align[index] === "right" ? "right" : null }, nodesOf(each.tokens, depth + 1));
    const head = element("tr", null, token.header.map((each, index) => cell("th", each, index)));
    const rows = token.rows.map((row) => element("tr", null, row.map((each, index) => cell("td", each, index))));
    return element("div", { class: "wide", tabindex: 0 }, element("table", null, element("thead", null, head), element("tbody", null, rows)));
}

function link(token, inner) {
    const address = webAddress(token.href);
    if (address === null) return inner;
    return element("a", { href: address.href, target: "_blank", rel: "noopener noreferrer nofollow" }, inner);
}

function picture(token) {
    const address = webAddress(token.href);
    if (address === null) return plain(token);
    const text = decoded(token.text) || "a picture";
    const own = new URL("v1/files/", document.baseURI);
    if (address.origin === own.origin && /\/v1\/files\/[\w-]+$/.test(address.pathname)) {
        const shown = element("img", { src: address.href, alt: text, loading: "lazy" });
        return element("a", { href: address.href, target: "_blank", rel: "noopener noreferrer" }, shown);
    }
    return element("a", { href: address.href, target: "_blank", rel: "noopener noreferrer nofollow" }, `picture: ${text}`);
}

function webAddress(text) {
    try {
        const address = new URL(decoded(text), document.baseURI);
        return address.protocol === "https:" || address.protocol === "http:" ? address : null;
    } catch {
        return null;
    }
}

const plain = (token) => document.createTextNode(decoded(token.text ?? token.raw ?? ""));

const decoded = (text) => text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => ENTITIES[name]);

/** Shows a text that grows: finished blocks stay as they are, only the last one is made anew. */
export class GrowingMarkdown {
    constructor(into) {
        this._into = into;
        this._finished = 0;
        this._last = [];
    }

    show(text) {
        const blocks = blocksOf(text.slice(this._finished));
        for (const node of this._last) node.remove();
        const last = blocks.findLastIndex((block) => block.type !== "space");
        for (const block of blocks.slice(0, Math.max(last, 0))) {
            this._into.append(...nodesOf([block]));
            this._finished += block.raw.length;
        }
        this._last = last < 0 ? [] : nodesOf(blocks.slice(last));
        this._into.append(...this._last);
    }
}
