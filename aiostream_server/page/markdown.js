// Markdown -> elements. marked reads it; this module makes the elements, of the kinds below and no others. HTML in a
// text is shown as text. Links lead to web addresses, in a new tab and without a referrer; pictures are this server's own.

import { Lexer } from "./libraries/marked.js";
import { element } from "./dom.js";
import { pictureOf } from "./pictures.js";
import { highlighted } from "./sql.js";

/** @typedef {import("./libraries/marked.js").MarkedToken} Token */
/** @typedef {import("./libraries/marked.js").Tokens.TableRow|import("./libraries/marked.js").Tokens.TableCell[]} Row */

const DEEPEST = 24;
const MOST_CODE_CHARS = 200000;
const ENTITIES = new Map([
    ["amp", "&"],
    ["lt", "<"],
    ["gt", ">"],
    ["quot", '"'],
    ["#39", "'"],
]);

/**
 * The blocks of a text, as marked's tokens; each knows its `raw` text.
 * @param {string} text
 * @returns {Token[]}
 */
export function blocksOf(text) {
    try {
        return /** @type {Token[]} */ (new Lexer({ gfm: true }).lex(text));
    } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        return [{ type: "code", raw: text, text }]; // nested too deep for marked's recursion
    }
}

/**
 * @param {Token[]} tokens
 * @param {number} [depth]
 * @returns {Node[]}
 */
export const nodesOf = (tokens, depth = 0) => tokens.flatMap((token) => nodeOf(token, depth) ?? []);

/**
 * @param {Token} token
 * @param {number} depth
 * @returns {Node|Node[]|null}
 */
function nodeOf(token, depth) {
    if (depth > DEEPEST) return plain(token);
    const tokens = "tokens" in token ? /** @type {Token[]|undefined} */ (token.tokens) : undefined;
    const inner = () => (tokens ? nodesOf(tokens, depth + 1) : [plain(token)]);
    switch (token.type) {
        case "space":
        case "def":
            return null;
        case "paragraph":
            return element("p", null, inner());
        case "text":
        case "escape":
            return inner();
        case "heading":
            return element(/** @type {"h3"} */ (`h${Math.min(token.depth + 2, 6)}`), null, inner());
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

/**
 * @param {string} text
 * @param {string} [language]
 */
export function codeBlock(text, language) {
    const cut = text.length > MOST_CODE_CHARS ? `\n… ${(text.length - MOST_CODE_CHARS).toLocaleString("en")} more characters are not shown.` : "";
    return element("pre", { tabindex: 0 }, element("code", null, codeNodes(text.slice(0, MOST_CODE_CHARS), language), cut));
}

/**
 * @param {string} text
 * @param {string} [language]
 * @returns {(Node|string)[]}
 */
export const codeNodes = (text, language) => (/^sql/i.test(language ?? "") ? highlighted(text) : [text]);

/**
 * @param {import("./libraries/marked.js").Tokens.List} token
 * @param {number} depth
 */
function list(token, depth) {
    const items = token.items.map((item) =>
        element(
            "li",
            null,
            item.task ? element("input", { type: "checkbox", disabled: true, checked: item.checked, "aria-label": "task" }) : null,
            nodesOf(/** @type {Token[]} */ (item.tokens.filter((each) => each.type !== "checkbox")), depth + 1),
        ),
    );
    return token.ordered ? element("ol", { start: token.start }, items) : element("ul", null, items);
}

/**
 * @param {import("./libraries/marked.js").Tokens.Table} token
 * @param {number} depth
 */
function table(token, depth) {
    const head = row(token.header, "th", depth);
    const rows = token.rows.map((cells) => row(cells, "td", depth));
    return element("div", { class: "wide", tabindex: 0 }, element("table", null, element("thead", null, head), element("tbody", null, rows)));
}

/**
 * @param {import("./libraries/marked.js").Tokens.TableCell[]} cells
 * @param {"th"|"td"} name
 * @param {number} [depth]
 */
export const row = (cells, name, depth = 0) =>
    element("tr", null, cells.map((cell) => element(name, { class: cell.align === "right" ? "right" : null }, nodesOf(/** @type {Token[]} */ (cell.tokens), depth + 1))));

/**
 * @param {import("./libraries/marked.js").Tokens.Link} token
 * @param {Node[]} inner
 */
function link(token, inner) {
    const address = webAddress(token.href);
    return address === null ? inner : element("a", { href: address.href, target: "_blank", rel: "noopener noreferrer nofollow" }, inner);
}

/** @param {import("./libraries/marked.js").Tokens.Image} token */
function picture(token) {
    const address = webAddress(token.href);
    const text = decoded(token.text) || "a picture";
    return address === null ? plain(token) : pictureOf(address, text);
}

/**
 * Null for any other address, and for one without a host: that would be this server's.
 * @param {string} text
 */
function webAddress(text) {
    const address = URL.parse(decoded(text));
    return address?.protocol === "https:" || address?.protocol === "http:" ? address : null;
}

/** @param {{raw: string, text?: string}} token */
const plain = (token) => document.createTextNode(decoded(token.text ?? token.raw));

/** @param {string} text */
const decoded = (text) => text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => ENTITIES.get(name) ?? "");
